package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The msgpack codes that messages are made of. There are no maps, floats,
// extensions, nor 32-bit lengths, which 64 KiB cannot need.
const (
	codeNil    = 0xc0
	codeFalse  = 0xc2
	codeTrue   = 0xc3
	codeBin8   = 0xc4
	codeBin16  = 0xc5
	codeUint8  = 0xcc
	codeUint64 = 0xcf
	codeInt8   = 0xd0
	codeInt64  = 0xd3
	codeStr0   = 0xa0 // up to 31 bytes
	codeStr8   = 0xd9
	codeStr16  = 0xda
	codeArray0 = 0x90
	codeArray  = 0xdc // 16-bit length
)

var (
	errShort    = errors.New("message ends within a value")
	errRange    = errors.New("integer out of range")
	errLonger   = errors.New("not the shortest encoding")
	errTrailing = errors.New("bytes after the message")
)

// textHeader reads the length of a string or of bytes.
func textHeader(b []byte, isBytes bool) (n int, rest []byte, err error) {
	c := b[0]
	switch {
	case isBytes && c == codeNil:
		return 0, b[1:], nil
	case !isBytes && c >= codeStr0 && c <= codeStr0+31:
		return int(c & 0x1f), b[1:], nil
	case isBytes && c == codeBin8, !isBytes && c == codeStr8:
		if len(b) < 2 {
			return 0, nil, errShort
		}
		if n = int(b[1]); !isBytes && n < 32 {
			return 0, nil, errLonger
		}
		return n, b[2:], nil
	case isBytes && c == codeBin16, !isBytes && c == codeStr16:
		if len(b) < 3 {
			return 0, nil, errShort
		}
		if n = int(binary.BigEndian.Uint16(b[1:])); n < 256 {
			return 0, nil, errLonger
		}
		return n, b[3:], nil
	case isBytes:
		return 0, nil, fmt.Errorf("byte %#x where bytes belong", c)
	}
	return 0, nil, fmt.Errorf("byte %#x where a string belongs", c)
}

// arrayHeader reads the length of an array.
func arrayHeader(b []byte) (n int, rest []byte, err error) {
	switch c := b[0]; {
	case c >= codeArray0 && c <= codeArray0+15:
		return int(c & 0xf), b[1:], nil
	case c == codeArray:
		if len(b) < 3 {
			return 0, nil, errShort
		}
		if n = int(binary.BigEndian.Uint16(b[1:])); n < 16 {
			return 0, nil, errLonger
		}
		return n, b[3:], nil
	default:
		return 0, nil, fmt.Errorf("byte %#x where an array belongs", c)
	}
}

// integer reads an integer of size bytes: u, or where it is negative neg.
func integer(b []byte) (u uint64, neg int64, size int, err error) {
	c := b[0]
	switch {
	case c <= 0x7f:
		return uint64(c), 0, 1, nil
	case c >= 0xe0:
		return 0, int64(int8(c)), 1, nil
	case c >= codeUint8 && c <= codeUint64, c >= codeInt8 && c <= codeInt64:
		size = 1 + 1<<(c&3)
	default:
		return 0, 0, 0, fmt.Errorf("byte %#x where an integer belongs", c)
	}
	if len(b) < size {
		return 0, 0, 0, errShort
	}
	for _, x := range b[1:size] {
		u = u<<8 | uint64(x)
	}
	if c <= codeUint64 {
		if size != 1+unsignedSize(u) {
			return 0, 0, 0, errLonger
		}
		return u, 0, size, nil
	}
	shift := 64 - 8*(size-1)
	neg = int64(u<<shift) >> shift
	if neg >= -32 || size != 1+signedSize(neg) { // a positive number has an unsigned form
		return 0, 0, 0, errLonger
	}
	return 0, neg, size, nil
}

// unsignedSize and signedSize tell how many bytes an integer takes after its code.
func unsignedSize(u uint64) int {
	switch {
	case u <= 0x7f:
		return 0
	case u <= math.MaxUint8:
		return 1
	case u <= math.MaxUint16:
		return 2
	case u <= math.MaxUint32:
		return 4
	}
	return 8
}

func signedSize(v int64) int {
	switch {
	case v >= math.MinInt8:
		return 1
	case v >= math.MinInt16:
		return 2
	case v >= math.MinInt32:
		return 4
	}
	return 8
}
