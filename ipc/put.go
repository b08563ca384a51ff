package ipc

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// put appends the encoding of *p to b. A text, or a list, that the receiver
// would refuse is an error.
func (s *shape) put(b []byte, p unsafe.Pointer) ([]byte, error) {
	switch s.kind {
	case shapeStruct:
		var err error
		b = putHeader(b, codeArray0, 15, 0, codeArray, len(s.field))
		for _, f := range s.field {
			if b, err = f.put(b, unsafe.Add(p, f.at)); err != nil {
				return b, err
			}
		}
		return b, nil
	case shapeText:
		v := *(*string)(p)
		if len(v) > s.max {
			return b, fmt.Errorf("%d bytes, at most %d are allowed", len(v), s.max)
		}
		return append(putHeader(b, codeStr0, 31, codeStr8, codeStr16, len(v)), v...), nil
	case shapeBytes:
		v := *(*[]byte)(p)
		if v == nil {
			return append(b, codeNil), nil
		}
		if len(v) > s.max {
			return b, fmt.Errorf("%d bytes, at most %d are allowed", len(v), s.max)
		}
		return append(putHeader(b, 0, -1, codeBin8, codeBin16, len(v)), v...), nil
	case shapeList:
		return s.putList(b, p)
	case shapeBool:
		if *(*bool)(p) {
			return append(b, codeTrue), nil
		}
		return append(b, codeFalse), nil
	case shapeInt:
		return putInt(b, s.signed(p)), nil
	}
	return putUint(b, s.unsigned(p)), nil
}

func (s *shape) putList(b []byte, p unsafe.Pointer) ([]byte, error) {
	list := *(*[]struct{})(p) // its pointer and length are those of any slice
	if list == nil {
		return append(b, codeNil), nil
	}
	if len(list) > s.max {
		return b, fmt.Errorf("%d elements, at most %d are allowed", len(list), s.max)
	}
	b = putHeader(b, codeArray0, 15, 0, codeArray, len(list))
	var err error
	for i := range list {
		if b, err = s.elem.put(b, unsafe.Add(unsafe.Pointer(unsafe.SliceData(list)), uintptr(i)*s.elem.size)); err != nil {
			return b, err
		}
	}
	return b, nil
}

// putHeader appends the length of what has up to fix elements in the code
// itself, up to 255 in a byte behind code8 (0: there is none), more in two.
func putHeader(b []byte, code0 byte, fix int, code8, code16 byte, n int) []byte {
	switch {
	case n <= fix:
		return append(b, code0|byte(n))
	case n <= 0xff && code8 != 0:
		return append(b, code8, byte(n))
	}
	return binary.BigEndian.AppendUint16(append(b, code16), uint16(n))
}

func (s *shape) signed(p unsafe.Pointer) int64 {
	switch s.size {
	case 1:
		return int64(*(*int8)(p))
	case 2:
		return int64(*(*int16)(p))
	case 4:
		return int64(*(*int32)(p))
	}
	return *(*int64)(p)
}

func (s *shape) unsigned(p unsafe.Pointer) uint64 {
	switch s.size {
	case 1:
		return uint64(*(*uint8)(p))
	case 2:
		return uint64(*(*uint16)(p))
	case 4:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

func putUint(b []byte, u uint64) []byte {
	switch unsignedSize(u) {
	case 0:
		return append(b, byte(u))
	case 1:
		return append(b, codeUint8, byte(u))
	case 2:
		return binary.BigEndian.AppendUint16(append(b, codeUint8+1), uint16(u))
	case 4:
		return binary.BigEndian.AppendUint32(append(b, codeUint8+2), uint32(u))
	}
	return binary.BigEndian.AppendUint64(append(b, codeUint64), u)
}

func putInt(b []byte, v int64) []byte {
	if v >= 0 {
		return putUint(b, uint64(v))
	}
	if v >= -32 {
		return append(b, byte(v))
	}
	switch signedSize(v) {
	case 1:
		return append(b, codeInt8, byte(v))
	case 2:
		return binary.BigEndian.AppendUint16(append(b, codeInt8+1), uint16(v))
	case 4:
		return binary.BigEndian.AppendUint32(append(b, codeInt8+2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, codeInt64), uint64(v))
}
