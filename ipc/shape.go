package ipc

import (
	"math"
	"reflect"
	"strconv"
	"sync"
	"unsafe"
)

// A shape is what the codec knows of a type: where its fields are, which bytes
// stand for a value of it, in which range and of which length. Exactly the bytes
// that [shape.put] makes are accepted by [shape.take] (every length and integer
// in its shortest form), so that one message has one encoding. A struct is an
// array of exactly its fields.
type shape struct {
	typ   reflect.Type
	at    uintptr // offset of a field in its struct
	size  uintptr // of the value in memory
	kind  shapeKind
	bits  int      // integers
	max   int      // longest text or bytes, most elements
	min   int      // fewest bytes that a value takes
	elem  *shape   // lists
	field []*shape // structs
}

type shapeKind uint8

const (
	shapeBool shapeKind = iota
	shapeInt
	shapeUint
	shapeText
	shapeBytes // nil is another value than empty
	shapeList  // likewise
	shapeStruct
)

// Default longest lengths; the tag `ipc:"N"` of a field sets another.
const (
	defaultMaxString = 4096
	defaultMaxSlice  = MaxElements
)

var shapes sync.Map // reflect.Type -> *shape

// shapeOf computes a struct's shape. It panics on a type that messages may not
// have (interfaces, maps, pointers, floats), which every test would see.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	if t.Kind() != reflect.Struct {
		panic("ipc: " + t.String() + " is no struct")
	}
	s := newShape(t, 0, 0)
	shapes.Store(t, s)
	return s
}

func newShape(t reflect.Type, limit, depth int) *shape {
	if depth > MaxDepth {
		panic("ipc: " + t.String() + " is nested too deeply")
	}
	s := &shape{typ: t, size: t.Size(), max: limit, min: 1}
	switch t.Kind() {
	case reflect.Bool:
		s.kind = shapeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind, s.bits = shapeInt, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind, s.bits = shapeUint, t.Bits()
	case reflect.String:
		s.kind, s.max = shapeText, or(limit, defaultMaxString)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind, s.max = shapeBytes, or(limit, defaultMaxString)
			break
		}
		s.kind, s.max = shapeList, min(or(limit, defaultMaxSlice), MaxElements)
		s.elem = newShape(t.Elem(), 0, depth+1)
	case reflect.Struct:
		s.kind = shapeStruct
		for f := range t.Fields() {
			x := newShape(f.Type, tagOf(t, f), depth+1)
			x.at = f.Offset
			s.field = append(s.field, x)
			s.min += x.min
		}
	default:
		panic("ipc: messages may not hold " + t.String())
	}
	if s.max > math.MaxUint16 {
		panic("ipc: " + t.String() + " with a length that takes more than two bytes")
	}
	return s
}

// tagOf returns the limit that a field's tag sets, 0 for none.
func tagOf(t reflect.Type, f reflect.StructField) int {
	if !f.IsExported() || f.Anonymous || f.Tag.Get("msgpack") != "" {
		panic("ipc: " + t.String() + "." + f.Name + " is not exported, embedded, or has a msgpack tag")
	}
	tag := f.Tag.Get("ipc")
	if tag == "" {
		return 0
	}
	n, err := strconv.Atoi(tag)
	if err != nil || n <= 0 {
		panic("ipc: " + t.String() + "." + f.Name + ": bad tag")
	}
	return n
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// whole reads b, which is exactly one value of the shape, into *p.
func (s *shape) whole(b []byte, p unsafe.Pointer) error {
	rest, err := s.take(b, p)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	return err
}
