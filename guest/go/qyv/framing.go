package qyv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// MessageBytesMax is the most bytes of a line, without its end, or of a frame, without its length: 16 MiB.
const MessageBytesMax = 16 << 20

const (
	// readBytesMax is how much is read at a time.
	readBytesMax = 64 << 10
	// lengthBytesMax is how many bytes the length of a frame takes: 28 bits, of which MessageBytesMax takes 25.
	lengthBytesMax = 4
)

// Framing says how messages are told apart: the `proto` of a service.
type Framing int

const (
	// Lines are of UTF-8, each ended by '\n'. A '\r' before it belongs to the line.
	Lines Framing = iota
	// Frames are a length in unsigned LEB128, then that many bytes.
	Frames
	// Stream is raw bytes: whatever arrives is a message.
	Stream
)

// encode gives a message as it goes over a connection.
func (f Framing) encode(message []byte) ([]byte, error) {
	if f == Stream {
		return message, nil
	}
	if len(message) > MessageBytesMax {
		return nil, ErrTooLong
	}
	packed := make([]byte, 0, len(message)+lengthBytesMax)
	if f == Frames {
		// The lengths of protocol buffers are unsigned LEB128 too.
		return append(binary.AppendUvarint(packed, uint64(len(message))), message...), nil
	}
	if bytes.IndexByte(message, '\n') >= 0 || !utf8.Valid(message) {
		return nil, ErrMalformed
	}
	return append(append(packed, message...), '\n'), nil
}

// decode takes a message from what arrives. io.EOF is the end.
func (f Framing) decode(from *bufio.Reader) ([]byte, error) {
	switch f {
	case Lines:
		return decodeLine(from)
	case Frames:
		return decodeFrame(from)
	}
	if _, err := from.Peek(1); err != nil {
		return nil, err
	}
	arrived, _ := from.Peek(from.Buffered())
	message := bytes.Clone(arrived)
	_, err := from.Discard(len(message))
	return message, err
}

func decodeLine(from *bufio.Reader) ([]byte, error) {
	line := []byte{}
	for {
		piece, err := from.ReadSlice('\n')
		ended := err == nil
		if ended {
			piece = piece[:len(piece)-1]
		}
		if len(line)+len(piece) > MessageBytesMax {
			return nil, ErrTooLong
		}
		line = append(line, piece...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) == 0:
			return nil, io.EOF
		case !ended && err != io.EOF:
			return nil, err
		case !utf8.Valid(line):
			return nil, ErrMalformed
		}
		return line, nil
	}
}

func decodeFrame(from *bufio.Reader) ([]byte, error) {
	length := 0
	for i := 0; ; i++ {
		b, err := from.ReadByte()
		if err == io.EOF && i > 0 {
			return nil, ErrMalformed
		}
		if err != nil {
			return nil, err
		}
		length |= int(b&0x7f) << (7 * i)
		last := b < 0x80
		if last && b == 0 && i > 0 {
			return nil, ErrMalformed
		}
		if length > MessageBytesMax || !last && i+1 == lengthBytesMax {
			return nil, ErrTooLong
		}
		if last {
			break
		}
	}
	// What was only announced is not reserved: the buffer grows with what arrives.
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, from, int64(length)); err == io.EOF {
		return nil, ErrMalformed
	} else if err != nil {
		return nil, err
	}
	return append([]byte{}, frame.Bytes()...), nil
}
