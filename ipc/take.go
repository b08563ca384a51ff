package ipc

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

// take reads one value at the front of b into *p, which is zero, and returns
// what follows it. What has an error may have been read in part. The bytes come
// from another process: memory is taken in proportion to how many they are, and
// the depth is that of the type. *p shares nothing with b.
func (s *shape) take(b []byte, p unsafe.Pointer) (rest []byte, err error) {
	if len(b) < s.min {
		return nil, errShort
	}
	switch s.kind {
	case shapeStruct:
		return s.takeStruct(b, p)
	case shapeText, shapeBytes:
		return s.takeText(b, p)
	case shapeList:
		return s.takeList(b, p)
	case shapeBool:
		if b[0] != codeFalse && b[0] != codeTrue {
			return nil, fmt.Errorf("byte %#x where a boolean belongs", b[0])
		}
		*(*bool)(p) = b[0] == codeTrue
		return b[1:], nil
	}
	return s.takeInt(b, p)
}

func (s *shape) takeStruct(b []byte, p unsafe.Pointer) ([]byte, error) {
	n, rest, err := arrayHeader(b)
	if err != nil {
		return nil, err
	}
	if n != len(s.field) {
		return nil, fmt.Errorf("struct of %d fields, %d belong there", n, len(s.field))
	}
	for _, f := range s.field {
		if rest, err = f.take(rest, unsafe.Add(p, f.at)); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (s *shape) takeText(b []byte, p unsafe.Pointer) ([]byte, error) {
	n, rest, err := textHeader(b, s.kind == shapeBytes)
	switch {
	case err != nil:
		return nil, err
	case n > s.max:
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", n, s.max)
	case n > len(rest):
		return nil, errShort
	case s.kind == shapeText:
		*(*string)(p) = string(rest[:n])
	case b[0] != codeNil:
		*(*[]byte)(p) = bytes.Clone(rest[:n])
	}
	return rest[n:], nil
}

func (s *shape) takeList(b []byte, p unsafe.Pointer) ([]byte, error) {
	if b[0] == codeNil {
		return b[1:], nil
	}
	n, rest, err := arrayHeader(b)
	switch {
	case err != nil:
		return nil, err
	case n > s.max:
		return nil, fmt.Errorf("%d elements, at most %d are allowed", n, s.max)
	case n*s.elem.min > len(rest):
		return nil, errShort
	}
	list := reflect.MakeSlice(s.typ, n, n)
	for i := range n {
		if rest, err = s.elem.take(rest, unsafe.Add(list.UnsafePointer(), uintptr(i)*s.elem.size)); err != nil {
			return nil, err
		}
	}
	reflect.NewAt(s.typ, p).Elem().Set(list)
	return rest, nil
}

// takeInt reads an integer: the shortest form, within the type's range.
func (s *shape) takeInt(b []byte, p unsafe.Pointer) ([]byte, error) {
	u, neg, size, err := integer(b)
	if err != nil {
		return nil, err
	}
	switch {
	case s.kind == shapeInt && (u > uint64(math.MaxInt64)>>(64-s.bits) || neg < math.MinInt64>>(64-s.bits)):
		return nil, errRange
	case s.kind == shapeUint && (neg < 0 || u > math.MaxUint64>>(64-s.bits)):
		return nil, errRange
	}
	if neg < 0 {
		u = uint64(neg)
	}
	switch s.size {
	case 1:
		*(*uint8)(p) = uint8(u)
	case 2:
		*(*uint16)(p) = uint16(u)
	case 4:
		*(*uint32)(p) = uint32(u)
	default:
		*(*uint64)(p) = u
	}
	return b[size:], nil
}
