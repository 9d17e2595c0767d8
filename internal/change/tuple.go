package change

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The kinds of a value in a tuple, as pgoutput writes them.
const (
	Null      = 'n'
	Unchanged = 'u' // an unchanged TOASTed value that was not sent
	Text      = 't'
	Binary    = 'b'
)

// Value is one column of a tuple. Bytes share memory with the tuple.
type Value struct {
	Kind  byte // Null, Unchanged, Text or Binary
	Bytes []byte
}

// Tuple is a row exactly as pgoutput wrote it (its TupleData: a 16-bit column
// count, then for each column a kind and, for text and binary, a 32-bit
// length and the bytes). Values never pass through Go types.
type Tuple []byte

// ErrTuple is wrapped by every error about malformed tuple bytes.
var ErrTuple = errors.New("malformed tuple")

// Values appends the tuple's columns to dst and returns it. The values share
// memory with the tuple. Every length is checked: the bytes may come from
// outside.
func (t Tuple) Values(dst []Value) ([]Value, error) {
	values, size, err := scanTuple(t, dst)
	if err != nil {
		return dst, err
	}
	if size != len(t) {
		return dst, fmt.Errorf("%w: %d bytes after the last column", ErrTuple, len(t)-size)
	}
	return values, nil
}

// TupleSize returns how many bytes at the start of b belong to the tuple that
// begins there, without looking behind it.
func TupleSize(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("%w: %d bytes, too short for a column count", ErrTuple, len(b))
	}
	at := 2
	for n := int(binary.BigEndian.Uint16(b)); n > 0; n-- {
		_, next, err := scanValue(b, at)
		if err != nil {
			return 0, err
		}
		at = next
	}
	return at, nil
}

func scanTuple(b []byte, dst []Value) ([]Value, int, error) {
	if len(b) < 2 {
		return dst, 0, fmt.Errorf("%w: %d bytes, too short for a column count", ErrTuple, len(b))
	}
	at := 2
	for n := int(binary.BigEndian.Uint16(b)); n > 0; n-- {
		value, next, err := scanValue(b, at)
		if err != nil {
			return dst, 0, err
		}
		dst = append(dst, value)
		at = next
	}
	return dst, at, nil
}

func scanValue(b []byte, at int) (Value, int, error) {
	if at >= len(b) {
		return Value{}, 0, fmt.Errorf("%w: ends before its last column", ErrTuple)
	}
	kind := b[at]
	at++
	switch kind {
	case Null, Unchanged:
		return Value{Kind: kind}, at, nil
	case Text, Binary:
		if len(b)-at < 4 {
			return Value{}, 0, fmt.Errorf("%w: ends inside a length", ErrTuple)
		}
		size := int64(binary.BigEndian.Uint32(b[at:]))
		at += 4
		if int64(len(b)-at) < size {
			return Value{}, 0, fmt.Errorf("%w: a value of %d bytes, %d left", ErrTuple, size, len(b)-at)
		}
		end := at + int(size)
		return Value{Kind: kind, Bytes: b[at:end:end]}, end, nil
	default:
		return Value{}, 0, fmt.Errorf("%w: unknown value kind %q", ErrTuple, kind)
	}
}

// AppendTuple appends the bytes of a tuple with these values, the inverse of
// Values.
func AppendTuple(b []byte, values ...Value) Tuple {
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, v := range values {
		b = append(b, v.Kind)
		if v.Kind == Text || v.Kind == Binary {
			b = binary.BigEndian.AppendUint32(b, uint32(len(v.Bytes)))
			b = append(b, v.Bytes...)
		}
	}
	return b
}
