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
	_, b, err := d.encode(body)
	return b, err
}

func (d *Dialogue) encode(body any) (*row, []byte, error) {
	r := d.rowOf(body)
	if r == nil {
		return nil, nil, &ProtocolError{d.Name, 0, fmt.Sprintf("no message of type %T", body)}
	}
	b, err := encodeStruct([]byte{headCode, byte(r.Kind), byte(d.Version)}, body)
	if err != nil {
		return nil, nil, &ProtocolError{d.Name, r.Kind, "to send: " + err.Error()}
	}
	if len(b) > MaxMessage {
		return nil, nil, &ProtocolError{d.Name, r.Kind, "longer than 64 KiB"}
	}
	if err := r.shape().whole(b[headLen:]); err != nil {
		return nil, nil, &ProtocolError{d.Name, r.Kind, "to send: " + err.Error()}
	}
	return r, b, nil
}

// rowOf returns the row of a struct or of a pointer to one, or nil.
func (d *Dialogue) rowOf(body any) *row {
	t := reflect.TypeOf(body)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return d.ready().byType[t]
}

func encodeStruct(head []byte, body any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.buf.Reset()
	e.buf.Write(head)
	if err := e.enc.Encode(body); err != nil {
		return nil, err // and the encoder goes, whatever state it is in
	}
	b := bytes.Clone(e.buf.Bytes())
	if e.buf.Cap() <= 2*MaxMessage {
		clear(e.buf.Bytes()) // it may have been a password
		encoders.Put(e)
	}
	return b, nil
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
