// Package qyv reaches other apps of a Qyvol host by the name of a service, and is reached.
//
//	logger, err := qyv.Dial("service://logger")
//	if err != nil {
//		return err
//	}
//	defer logger.Close()
//	return logger.SendText("a line")
//
// There is nothing underneath but WASI (GOOS=wasip1): to dial is to open `/svc/<name>`. While one goroutine waits for a
// message or a client, the others go on.
package qyv

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// address is the rule of manifests; nothing else may get into a path.
var address = regexp.MustCompile(`^service://([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:/([1-9][0-9]{0,4}))?$`)

// Conn is both ways to another app. Two goroutines may use it at once, one that sends and one that receives.
type Conn struct {
	address string
	framing Framing
	conn    net.Conn
	sending sync.Mutex
	arrived *bufio.Reader
	// broken is what was no message: it stays so for every later call.
	broken error
}

// Dial dials `service://name` or `service://name/port`. How messages are told apart is what the host says of the service.
//
// It returns when the connection stands or has failed; no other goroutine runs meanwhile, as opening a file is one call of
// WASI. An error is an *Error, of ErrDenied, ErrUnknown, ErrDown, ErrNoProtocol, ErrBadAddress, ErrNoServices or the system's.
func Dial(address string) (*Conn, error) {
	name, port, err := parse(address)
	if err != nil {
		return nil, err
	}
	// The dial's own error says more than that of the description, so it comes first.
	conn, err := DialAs(address, Stream)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile("/svc/" + name + "/.info")
	if err == nil {
		conn.framing, err = described(text, port)
	}
	if err != nil {
		conn.Close()
		return nil, failed(address, err)
	}
	return conn, nil
}

// DialAs dials as Dial does, whatever the host says of the service.
func DialAs(address string, framing Framing) (*Conn, error) {
	name, port, err := parse(address)
	if err != nil {
		return nil, err
	}
	path := "/svc/" + name
	if port != 0 {
		path += "/" + strconv.Itoa(port)
	}
	// Not os.OpenFile: net.FileConn panics at what it gives (Go 1.26).
	fd, err := syscall.Open(path, syscall.O_RDWR, 0)
	if err != nil {
		return nil, failed(address, err)
	}
	file, err := shared(fd, address)
	if err != nil {
		return nil, failed(address, err)
	}
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, failed(address, err)
	}
	return newConn(address, framing, conn), nil
}

// shared makes a file of a descriptor such that what waits for it lets other goroutines go on. What is made of the file has
// its own hold of the descriptor.
func shared(fd int, name string) (*os.File, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func newConn(address string, framing Framing, conn net.Conn) *Conn {
	return &Conn{address: address, framing: framing, conn: conn, arrived: bufio.NewReaderSize(conn, readBytesMax)}
}

// Send sends a message, and waits until the other side's buffer has it. After ErrTooLong and ErrMalformed nothing was sent and
// the connection is as before; the other failures are ErrClosed, ErrReset, ErrRevoked and those of the system.
func (c *Conn) Send(message []byte) error {
	packed, err := c.framing.encode(message)
	if err != nil {
		return failed(c.address, err)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if _, err := c.conn.Write(packed); err != nil {
		return failed(c.address, err)
	}
	return nil
}

// SendText sends a message of text.
func (c *Conn) SendText(message string) error { return c.Send([]byte(message)) }

// Recv waits for a message: a line without its '\n', a frame, or what has arrived of a stream. io.EOF, as it is, is the end;
// other failures are an *Error.
func (c *Conn) Recv() ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	message, err := c.framing.decode(c.arrived)
	if err == nil || err == io.EOF {
		return message, err
	}
	err = failed(c.address, err)
	// After a deadline one can go on; but not inside a message, of which a part is gone.
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.framing != Stream {
		c.broken = err
	}
	return nil, err
}

// RecvText waits for a message of text, as Recv does. What is no UTF-8 is ErrMalformed.
func (c *Conn) RecvText() (string, error) {
	message, err := c.Recv()
	if err == nil && !utf8.Valid(message) {
		err = failed(c.address, ErrMalformed)
	}
	return string(message), err
}

// Finish says that nothing more is sent. The other side receives what was sent and then the end, and can go on sending.
func (c *Conn) Finish() error {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return failed(c.address, errors.ErrUnsupported)
	}
	if err := half.CloseWrite(); err != nil {
		return failed(c.address, err)
	}
	return nil
}

// SetDeadline is when sending and receiving give up with os.ErrDeadlineExceeded. A message of which a part was received
// then is lost: of lines and frames no more can be received.
func (c *Conn) SetDeadline(when time.Time) error { return c.conn.SetDeadline(when) }

// Framing is how messages are told apart.
func (c *Conn) Framing() Framing { return c.framing }

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Listener is a listening socket.
type Listener struct {
	name     string
	framing  Framing
	listener net.Listener
}

// Listen finds a listening socket of this app by its name: a service of its manifest (`logger`, or `logger/9000` for the one
// of several with this port), or an address of `net.listen` as it is written there. The framing is what `proto` is in the
// manifest. It fails with ErrNotOffered.
func Listen(name string, framing Framing) (*Listener, error) {
	wanted := strings.TrimPrefix(name, "service://")
	fd, ok := listenerOf(wanted, os.Getenv("QYV_LISTEN_FDS"), os.Getenv("QYV_LISTEN_NAMES"))
	if !ok {
		return nil, failed(name, ErrNotOffered)
	}
	file, err := shared(fd, name)
	if err != nil {
		return nil, failed(name, err)
	}
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, failed(name, err)
	}
	return &Listener{name, framing, listener}, nil
}

// Accept waits for somebody to connect. It fails with net.ErrClosed when the host takes no more connections for this app, as it
// is to stop, or the listener was closed. Otherwise those that wait are kept.
func (l *Listener) Accept() (*Conn, error) {
	conn, err := l.listener.Accept()
	if errors.Is(err, syscall.EBADF) {
		// The host closes the listening sockets of an app that is to stop.
		return nil, &Error{l.name, net.ErrClosed, err}
	}
	if err != nil {
		return nil, failed(l.name, err)
	}
	return newConn(l.name, l.framing, conn), nil
}

// Net is the same listener for what speaks a protocol of its own, such as http.Serve.
func (l *Listener) Net() net.Listener { return l.listener }

// Close ends the listening: nobody can connect any more.
func (l *Listener) Close() error { return l.listener.Close() }

// Secret reads a secret that the operator gave to this app, as it is: no line break at its end is taken away. The error is
// fs.ErrNotExist when the app was given none of this name, or it is no name.
func Secret(name string) ([]byte, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("`%s` is not the name of a secret: %w", name, fs.ErrNotExist)
	}
	return os.ReadFile(filepath.Join("/run/secrets", name))
}

func parse(text string) (name string, port int, err error) {
	parts := address.FindStringSubmatch(text)
	if parts == nil {
		return "", 0, failed(text, ErrBadAddress)
	}
	if parts[2] != "" {
		port, _ = strconv.Atoi(parts[2])
	}
	if port > 65535 {
		return "", 0, failed(text, ErrBadAddress)
	}
	return parts[1], port, nil
}

// listenerOf finds the descriptor of a name in two lists with commas: the first that is called so, or the first port of a
// service that is.
func listenerOf(name, fds, names string) (int, bool) {
	numbers := strings.Split(fds, ",")
	find := func(called func(listed string) bool) (int, bool) {
		for i, listed := range strings.Split(names, ",") {
			if i < len(numbers) && called(listed) {
				fd, err := strconv.ParseUint(numbers[i], 10, 31)
				return int(fd), err == nil
			}
		}
		return 0, false
	}
	if fd, ok := find(func(listed string) bool { return listed == name }); ok {
		return fd, true
	}
	return find(func(listed string) bool {
		service, port, ok := strings.Cut(listed, "/")
		_, err := strconv.ParseUint(port, 10, 16)
		return ok && service == name && err == nil
	})
}

// described is the protocol that the host's description names: of the port that is dialled, or else of the service.
func described(text []byte, port int) (Framing, error) {
	type entry struct {
		Port     *int
		Protocol string
	}
	var info struct {
		Protocol string
		Ports    []entry
	}
	if json.Unmarshal(text, &info) != nil {
		return Stream, ErrNoProtocol
	}
	if port == 0 {
		return protocol(info.Protocol)
	}
	for _, each := range info.Ports {
		if each.Port != nil && *each.Port == port {
			return protocol(each.Protocol)
		}
	}
	return Stream, ErrUnknown
}

func protocol(name string) (Framing, error) {
	switch name {
	case "lines":
		return Lines, nil
	case "frames":
		return Frames, nil
	case "stream":
		return Stream, nil
	}
	return Stream, ErrNoProtocol
}
