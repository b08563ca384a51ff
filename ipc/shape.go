package ipc

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// A shape is what the validator knows of a type: which bytes stand for a value
// of it, in which range and of which length. Exactly the bytes that the encoder
// makes are accepted (every length and integer in its shortest form), so that
// one message has one encoding. A struct is an array of exactly its fields.
type shape struct {
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
	if encodesItself(t) {
		panic("ipc: " + t.String() + " has an encoding of its own")
	}
	s := &shape{max: limit, min: 1}
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
			s.field = append(s.field, newShape(f.Type, tagOf(t, f), depth+1))
			s.min += s.field[len(s.field)-1].min
		}
	default:
		panic("ipc: messages may not hold " + t.String())
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

// encodesItself tells whether the library would call a method of the type
// instead of encoding its fields, past the validator's knowledge.
func encodesItself(t reflect.Type) bool {
	for _, i := range []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder](),
		reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
		reflect.TypeFor[error](),
	} {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// whole validates b as exactly one value of the shape.
func (s *shape) whole(b []byte) error {
	rest, err := s.check(b)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	return err
}

// check validates one value at the front of b and returns what follows it. It
// allocates nothing but its errors, and its depth is that of the type.
func (s *shape) check(b []byte) (rest []byte, err error) {
	if len(b) < s.min {
		return nil, errShort
	}
	switch s.kind {
	case shapeBool:
		if b[0] != codeFalse && b[0] != codeTrue {
			return nil, fmt.Errorf("byte %#x where a boolean belongs", b[0])
		}
		return b[1:], nil
	case shapeText, shapeBytes:
		return s.checkText(b)
	case shapeList:
		return s.checkList(b)
	case shapeStruct:
		return s.checkStruct(b)
	}
	return s.checkInt(b)
}

func (s *shape) checkText(b []byte) ([]byte, error) {
	n, rest, err := textHeader(b, s.kind == shapeBytes)
	switch {
	case err != nil:
		return nil, err
	case n > s.max:
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", n, s.max)
	case n > len(rest):
		return nil, errShort
	}
	return rest[n:], nil
}

func (s *shape) checkList(b []byte) ([]byte, error) {
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
	for range n {
		if rest, err = s.elem.check(rest); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (s *shape) checkStruct(b []byte) ([]byte, error) {
	n, rest, err := arrayHeader(b)
	if err != nil {
		return nil, err
	}
	if n != len(s.field) {
		return nil, fmt.Errorf("struct of %d fields, %d belong there", n, len(s.field))
	}
	for _, f := range s.field {
		if rest, err = f.check(rest); err != nil {
			return nil, err
		}
	}
	return rest, nil
}
