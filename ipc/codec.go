package ipc

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// A datagram is the msgpack array [kind, version, body]; body is a struct as an
// array. The version is the dialogue's, in every message: a worker of another
// release is recognised by its first word.
const (
	headCode = 0x93 // an array of three
	headLen  = 3
)

type encoder struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.enc = msgpack.NewEncoder(&e.buf)
	e.enc.UseArrayEncodedStructs(true)
	e.enc.UseCompactInts(true)
	return e
}}

// Encode returns the datagram of a message of dialogue d. The body is a struct
// or a pointer to one; a type the dialogue does not know is an error, as is a
// message beyond MaxMessage or one that the receiver's validator would refuse.
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
	r := d.rowOf(body)
	if r == nil {
		return nil, nil, &ProtocolError{d.Name, 0, fmt.Sprintf("no message of type %T", body)}
	}
	e, err := newEncoded([]byte{headCode, byte(r.Kind), byte(d.Version)}, body)
	if err != nil {
		return nil, nil, &ProtocolError{d.Name, r.Kind, "to send: " + err.Error()}
	}
	if len(e.bytes()) > MaxMessage {
		e.free()
		return nil, nil, &ProtocolError{d.Name, r.Kind, "longer than 64 KiB"}
	}
	if err := r.shape().whole(e.bytes()[headLen:]); err != nil {
		e.free()
		return nil, nil, &ProtocolError{d.Name, r.Kind, "to send: " + err.Error()}
	}
	return r, e, nil
}

// rowOf returns the row of a struct or of a pointer to one, or nil.
func (d *Dialogue) rowOf(body any) *row {
	t := reflect.TypeOf(body)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return d.ready().byType[t]
}

// newEncoded returns an encoder that holds head and body; the caller frees it.
func newEncoded(head []byte, body any) (*encoder, error) {
	e := encoders.Get().(*encoder)
	e.buf.Reset()
	e.buf.Write(head)
	if err := e.enc.Encode(body); err != nil {
		return nil, err // and the encoder goes, whatever state it is in
	}
	return e, nil
}

// bytes are valid until the encoder is freed.
func (e *encoder) bytes() []byte { return e.buf.Bytes() }

func (e *encoder) free() {
	if e.buf.Cap() <= 2*MaxMessage {
		clear(e.buf.Bytes()) // it may have been a password
		encoders.Put(e)
	}
}

func encodeStruct(head []byte, body any) ([]byte, error) {
	e, err := newEncoded(head, body)
	if err != nil {
		return nil, err
	}
	defer e.free()
	return bytes.Clone(e.bytes()), nil
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

// decode validates a body and returns a pointer to its struct.
func (d *Dialogue) decode(r *row, b []byte) (any, error) {
	if err := r.shape().whole(b); err != nil {
		return nil, &ProtocolError{d.Name, r.Kind, err.Error()}
	}
	body := reflect.New(r.typ).Interface()
	if err := decodeStruct(b, body); err != nil {
		return nil, &ProtocolError{d.Name, r.Kind, err.Error()}
	}
	return body, nil
}

var decoders = sync.Pool{New: func() any { return msgpack.NewDecoder(nil) }}

// decodeStruct decodes validated bytes into a new struct. The library copies
// every string and byte slice, so that b may be used again.
func decodeStruct(b []byte, body any) error {
	dec := decoders.Get().(*msgpack.Decoder)
	dec.Reset(bytes.NewReader(b)) // also resets every option
	err := dec.Decode(body)
	dec.Reset(nil) // b is not ours to keep
	if err == nil {
		decoders.Put(dec)
	}
	return err
}
