package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"unsafe"
)

// A datagram is the msgpack array [kind, version, body]; body is a struct as an
// array. The version is the dialogue's, in every message: a worker of another
// release is recognised by its first word.
const (
	headCode = 0x93 // an array of three
	headLen  = 3
)

type encoder struct{ buf []byte }

// encoders have room for every message with a secret: what a buffer that grows
// leaves behind is cleared by nobody.
var encoders = sync.Pool{New: func() any { return &encoder{make([]byte, 0, 8<<10)} }}

// Encode returns the datagram of a message of dialogue d. The body is a struct
// or a pointer to one; a type the dialogue does not know is an error, as is a
// message beyond MaxMessage or one that the receiver would refuse.
func (d *Dialogue) Encode(body any) ([]byte, error) {
	_, e, err := d.encode(body)
	if err != nil {
		return nil, err
	}
	defer e.free()
	return bytes.Clone(e.bytes()), nil
}

// encode makes the datagram in an encoder, which the caller frees.
func (d *Dialogue) encode(body any) (*row, *encoder, error) {
	r, at := d.rowOf(body)
	if r == nil {
		return nil, nil, &ProtocolError{d.Name, 0, fmt.Sprintf("no message of type %T", body)}
	}
	e := encoders.Get().(*encoder)
	var err error
	e.buf, err = r.shape().put(append(e.buf[:0], headCode, byte(r.Kind), byte(d.Version)), at)
	runtime.KeepAlive(body)
	if err == nil && len(e.buf) > MaxMessage {
		err = errors.New("longer than 64 KiB")
	}
	if err != nil {
		e.free()
		return nil, nil, &ProtocolError{d.Name, r.Kind, "to send: " + err.Error()}
	}
	return r, e, nil
}

// rowOf returns the row of a struct or of a pointer to one, and where its
// fields are; nil: there is none.
func (d *Dialogue) rowOf(body any) (*row, unsafe.Pointer) {
	b := wordsOf(body)
	for i, t := range d.ready().types {
		if t == b.typ && b.data != nil {
			return d.byType[i/2], b.data
		}
	}
	return nil, nil
}

// bytes are valid until the encoder is freed.
func (e *encoder) bytes() []byte { return e.buf }

func (e *encoder) free() {
	clear(e.buf) // it may have been a password
	if cap(e.buf) <= 2*MaxMessage {
		encoders.Put(e)
	}
}

// head reads the head of a datagram and returns its row and body, which is
// still unread.
func (d *Dialogue) head(b []byte) (*row, []byte, error) {
	if len(b) <= headLen || len(b) > MaxMessage || b[0] != headCode || b[1] > 127 || b[2] > 127 {
		return nil, nil, &ProtocolError{d.Name, 0, "not a message"}
	}
	kind := Kind(b[1])
	if v := uint16(b[2]); v != d.Version {
		return nil, nil, &ProtocolError{d.Name, kind, fmt.Sprintf("version %d of the dialogue, this process speaks %d", v, d.Version)}
	}
	r := d.ready().byKind[kind]
	if r == nil {
		return nil, nil, &ProtocolError{d.Name, kind, "unknown kind"}
	}
	return r, b[headLen:], nil
}

// decode validates a body and returns a pointer to its struct, which shares
// nothing with b.
func (d *Dialogue) decode(r *row, b []byte) (any, error) {
	body := reflect.New(r.typ)
	if err := r.shape().whole(b, body.UnsafePointer()); err != nil {
		return nil, &ProtocolError{d.Name, r.Kind, err.Error()}
	}
	return body.Interface(), nil
}
