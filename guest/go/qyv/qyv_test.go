package qyv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// A case is bytes, the messages in them, and how they end.
type arriving struct {
	framing  Framing
	bytes    string
	messages string
	end      error
}

var cases = []arriving{
	{Lines, "", "", io.EOF},
	{Lines, "one\ntwo\n", "[one][two]", io.EOF},
	{Lines, "\n\nlast", "[][][last]", io.EOF},
	{Lines, "dos\r\nunix\n", "[dos\r][unix]", io.EOF},
	{Lines, "hé € 🐧\n", "[hé € 🐧]", io.EOF},
	{Lines, "good\nb\xff\nnever\n", "[good]", ErrMalformed},
	{Lines, "cut \xe2\x82", "", ErrMalformed},
	{Frames, "", "", io.EOF},
	{Frames, "\x03one\x00\x02\n\n", "[one][][\n\n]", io.EOF},
	{Frames, "\x03on", "", ErrMalformed},
	{Frames, "\x03", "", ErrMalformed},
	{Frames, "\x80", "", ErrMalformed},
	{Frames, "\x01a\x80\x00", "[a]", ErrMalformed},
	{Frames, "\x81\x80\x80\x08", "", ErrTooLong},
	{Frames, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "", ErrTooLong},
	{Stream, "", "", io.EOF},
	{Stream, "a\nb", "[a\nb]", io.EOF},
}

func TestMessagesAreTakenFromBytes(t *testing.T) {
	for _, c := range cases {
		readers := map[string]io.Reader{"whole": strings.NewReader(c.bytes), "with the end": iotest.DataErrReader(strings.NewReader(c.bytes))}
		if c.framing != Stream {
			readers["a byte at a time"] = iotest.OneByteReader(strings.NewReader(c.bytes))
		}
		for how, reader := range readers {
			// The least buffer there is: every longer message is split.
			from, got := bufio.NewReaderSize(reader, 16), ""
			var message []byte
			var err error
			for err == nil {
				if message, err = c.framing.decode(from); err == nil {
					got += fmt.Sprintf("[%s]", message)
				}
			}
			if got != c.messages || err != c.end {
				t.Errorf("%q, %s: %q %v", c.bytes, how, got, err)
			}
		}
	}
}

func TestWhatIsSentArrives(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 100_000, 1<<21 - 1, 1 << 21, MessageBytesMax} {
		for _, framing := range []Framing{Lines, Frames} {
			message := bytes.Repeat([]byte{'x'}, size)
			packed, err := framing.encode(message)
			if err != nil {
				t.Fatal(err)
			}
			got, err := framing.decode(bufio.NewReader(bytes.NewReader(packed)))
			if err != nil || !bytes.Equal(got, message) {
				t.Errorf("%d bytes: %d, %v", size, len(got), err)
			}
		}
	}
}

func TestTheBound(t *testing.T) {
	long := bytes.Repeat([]byte{'x'}, MessageBytesMax+1)
	for _, framing := range []Framing{Lines, Frames} {
		if _, err := framing.encode(long); err != ErrTooLong {
			t.Error(framing, err)
		}
	}
	if _, err := Lines.decode(bufio.NewReader(bytes.NewReader(long))); err != ErrTooLong {
		t.Error(err)
	}
	for _, none := range []string{"a\nb", "\xed\xa0\x80"} {
		if _, err := Lines.encode([]byte(none)); err != ErrMalformed {
			t.Errorf("%q: %v", none, err)
		}
	}
}

func TestAConnectionKeepsWhatBrokeIt(t *testing.T) {
	here, there := net.Pipe()
	conn := newConn("service://test", Lines, here)
	go func() {
		there.Write([]byte("good\nb\xff\nnever\n"))
		there.Close()
	}()
	if text, err := conn.RecvText(); text != "good" || err != nil {
		t.Fatal(text, err)
	}
	for range 2 {
		if _, err := conn.Recv(); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	}
}

func TestADeadlineEndsAWait(t *testing.T) {
	here, _ := net.Pipe()
	conn := newConn("service://test", Stream, here)
	conn.SetDeadline(time.Now())
	if _, err := conn.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{"service://logger": "logger 0", "service://a-1/65535": "a-1 65535"} {
		name, port, err := parse(text)
		if got := fmt.Sprint(name, " ", port); got != want || err != nil {
			t.Error(got, err)
		}
	}
	for _, text := range []string{
		"", "logger", "http://logger", "service://", "service:///1", "service://.info", "service://..", "service://a/..", "service://a/.info",
		"service://a/", "service://a/0", "service://a/01", "service://a/+1", "service://a/65536", "service://a/1/2", "service://-a", "service://a-",
		"service://Logger", "service://a\x00", "service://a\n", "service://" + strings.Repeat("a", 64),
	} {
		if _, _, err := parse(text); !errors.Is(err, ErrBadAddress) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestListeners(t *testing.T) {
	const fds, names = "5,6,7,8", "db/1,db/2,web,tcp://127.0.0.1:80"
	for name, want := range map[string]int{"db": 5, "db/2": 6, "web": 7, "tcp://127.0.0.1:80": 8} {
		if fd, ok := listenerOf(name, fds, names); !ok || fd != want {
			t.Error(name, fd, ok)
		}
	}
	for _, name := range []string{"db/3", "d", "tcp:", "web/1", ""} {
		if _, ok := listenerOf(name, fds, names); ok {
			t.Error(name)
		}
	}
	if _, ok := listenerOf("web", "5", "db,web"); ok {
		t.Error("a name without a descriptor")
	}
	if _, err := Listen("nobody", Lines); !errors.Is(err, ErrNotOffered) {
		t.Error(err)
	}
}

func TestDescriptions(t *testing.T) {
	const info = `{"name":"db","description":"\"protocol\":\"stream\"","up":true,"protocol":"frames",
		"ports":[{"port":null,"protocol":"frames","up":true},{"port":80,"protocol":"lines"},{"port":81}]}`
	for port, want := range map[int]Framing{0: Frames, 80: Lines} {
		if framing, err := described([]byte(info), port); framing != want || err != nil {
			t.Error(port, framing, err)
		}
	}
	for port, want := range map[int]error{81: ErrNoProtocol, 82: ErrUnknown} {
		if _, err := described([]byte(info), port); err != want {
			t.Error(port, err)
		}
	}
	for _, text := range []string{"", "{", `{"protocol":"pigeons"}`, `{"protocol":1}`} {
		if _, err := described([]byte(text), 0); err != ErrNoProtocol {
			t.Error(text, err)
		}
	}
}

func TestFailuresHaveAKind(t *testing.T) {
	err := failed("service://db", &os.PathError{Op: "open", Path: "/svc/db", Err: syscall.EACCES})
	if !errors.Is(err, ErrDenied) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "permissions") {
		t.Error(err)
	}
	if _, err := Dial("nobody"); !errors.Is(err, ErrBadAddress) {
		t.Error(err)
	}
	if _, err := Dial("service://nobody"); err == nil {
		t.Error("dialled nobody")
	}
}

func TestSecretsStayInTheirFolder(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../../etc/passwd", "a/b", "a\x00b"} {
		if _, err := Secret(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
