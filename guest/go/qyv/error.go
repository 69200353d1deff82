package qyv

import (
	"errors"
	"fmt"
	"syscall"
)

// What a failure may be; errors.Is tells.
var (
	// ErrDenied: the app was not granted this service. It is the same whether the service exists or not.
	ErrDenied = errors.New("it was not granted; `permissions: {net: {connect: [...]}}` of the manifest asks for it")
	// ErrUnknown: nobody offers this name, or the service has no such port.
	ErrUnknown = errors.New("nobody offers a service of this name; `/svc` lists those that can be dialled")
	// ErrDown: nobody serves it now, or too many wait. It can be tried again.
	ErrDown = errors.New("the service is down, or too many wait for it; try again later")
	// ErrReset: the other side died.
	ErrReset = errors.New("the other side died")
	// ErrRevoked: the operator took the grant back.
	ErrRevoked = errors.New("the grant was taken back")
	// ErrClosed: the other side receives no more, or this side said that it sends no more.
	ErrClosed = errors.New("the connection is closed in this direction")
	// ErrTooLong: a message of more than MessageBytesMax.
	ErrTooLong = errors.New("a message is longer than 16 MiB; send it in parts")
	// ErrMalformed: what is sent or has arrived is no message of the service's protocol.
	ErrMalformed = errors.New("this is no message of the service's protocol: a line is UTF-8 without a line break, a frame is whole")
	// ErrNoProtocol: what the host says about the service is not understood; DialAs goes without.
	ErrNoProtocol = errors.New("the protocol of the service is not known; name it with DialAs")
	// ErrBadAddress: not `service://name` or `service://name/port`.
	ErrBadAddress = errors.New("this is no address of a service; write `service://name` or `service://name/port`")
	// ErrNotOffered: the app has no listening socket of this name.
	ErrNotOffered = errors.New("the app has no such listening socket; the manifest names them in `services` and `net.listen`")
	// ErrNoServices: this program does not run on a host with services.
	ErrNoServices = errors.New("there are no services here; run the program with Qyvol")
)

// Error says which service failed, and why. errors.Is finds the kind, such as ErrDenied, and what the system said.
type Error struct {
	// Address is that of the service, as it was given.
	Address string
	// Kind is one of the variables above, or what the system said when it is none of them.
	Kind error
	// Cause is what the system said, if it was asked.
	Cause error
}

func (e *Error) Error() string { return fmt.Sprintf("`%s`: %v", e.Address, e.Kind) }

// Unwrap is for errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// notCapable is what WASI says where no folder was opened for the program; only GOOS=wasip1 has a name for it.
const notCapable = syscall.Errno(76)

// failed names what the system said, or what this package found.
func failed(address string, cause error) error {
	for _, known := range []struct{ said, kind error }{
		{syscall.EACCES, ErrDenied},
		{syscall.ENOENT, ErrUnknown},
		{syscall.ECONNREFUSED, ErrDown},
		{syscall.ECONNRESET, ErrReset},
		{syscall.ECONNABORTED, ErrRevoked},
		{syscall.EPIPE, ErrClosed},
		{notCapable, ErrNoServices},
	} {
		if errors.Is(cause, known.said) {
			return &Error{address, known.kind, cause}
		}
	}
	return &Error{Address: address, Kind: cause}
}
