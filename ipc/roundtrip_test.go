package ipc

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// eachRow runs f for every message of every dialogue.
func eachRow(t *testing.T, f func(t *testing.T, d *Dialogue, r *row)) {
	for _, d := range dialogues {
		for _, r := range d.ready().byKind {
			if r != nil {
				t.Run(d.Name+"/"+r.typ.Name(), func(t *testing.T) { f(t, d, r) })
			}
		}
	}
}

func TestEveryMessageGoesThere(t *testing.T) {
	eachRow(t, func(t *testing.T, d *Dialogue, r *row) {
		here, a := channel(t, d, r.From)
		there := New(a, d, other(d, r.From)) // both ends in one process
		for _, s := range states(d) {
			if r.In&s != 0 {
				there.SetState(s)
			}
		}
		fds := files(t, r.FDs)
		rapid.Check(t, func(rt *rapid.T) {
			want := drawMessage(rt, r.typ)
			send := want.Interface()
			if rapid.Bool().Draw(rt, "by pointer") {
				p := reflect.New(r.typ)
				p.Elem().Set(want)
				send = p.Interface()
			}
			if err := here.Send(send, fds...); err != nil {
				rt.Fatal(err)
			}
			m, err := there.Recv()
			if err != nil {
				rt.Fatal(err)
			}
			defer m.Close()
			if m.Kind != r.Kind || len(m.FDs) != r.FDs {
				rt.Fatalf("kind %d with %d descriptors", m.Kind, len(m.FDs))
			}
			if d := cmp.Diff(want.Interface(), reflect.ValueOf(m.Body).Elem().Interface()); d != "" {
				rt.Fatal(d)
			}
			for _, fd := range m.FDs {
				if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
					rt.Fatalf("descriptor %d: flags %#x, %v", fd, flags, err)
				}
			}
		})
	})
}

// TestOneEncoding: what is accepted is what the encoder would make of it.
func TestOneEncoding(t *testing.T) {
	eachRow(t, func(t *testing.T, d *Dialogue, r *row) {
		rapid.Check(t, func(rt *rapid.T) {
			b, err := d.Encode(drawMessage(rt, r.typ).Interface())
			if err != nil {
				rt.Fatal(err)
			}
			for range rapid.IntRange(0, 4).Draw(rt, "mutations") {
				i := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
				b[i] = rapid.Byte().Draw(rt, "byte")
			}
			checkDatagram(rt, d, b)
		})
	})
}

// checkDatagram holds what every decoder promises of any datagram. It tells
// whether it was accepted.
func checkDatagram(t interface{ Fatalf(string, ...any) }, d *Dialogue, b []byte) bool {
	given := bytes.Clone(b)
	r, rest, err := d.head(b)
	if err != nil {
		return false
	}
	before := allocated()
	body, err := d.decode(r, rest)
	if got := allocated() - before; got > 2<<20+64*uint64(len(b)) {
		t.Fatalf("%d bytes of message made it allocate %d", len(b), got)
	}
	if !bytes.Equal(given, b) {
		t.Fatalf("the datagram was changed")
	}
	if err != nil {
		return false
	}
	again, err := d.Encode(body)
	if err != nil {
		t.Fatalf("accepted %x, but it cannot be encoded: %v", given, err)
	}
	if !bytes.Equal(given, again) {
		t.Fatalf("accepted %x, which is encoded as %x", given, again)
	}
	libraryAgrees(t, rest, body)
	return true
}

// encodeStruct is the library's encoding.
func encodeStruct(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseArrayEncodedStructs(true)
	enc.UseCompactInts(true)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// libraryAgrees compares an encoding of *v with what the library makes of it, and
// what the library reads in it with *v.
func libraryAgrees(t interface{ Fatalf(string, ...any) }, b []byte, v any) {
	if theirs, err := encodeStruct(v); err != nil || !bytes.Equal(b, theirs) {
		t.Fatalf("%+v is %x, for the library %x, %v", v, b, theirs, err)
	}
	theirs := reflect.New(reflect.TypeOf(v).Elem())
	if err := msgpack.Unmarshal(b, theirs.Interface()); err != nil {
		t.Fatalf("the library does not read %x: %v", b, err)
	}
	if d := cmp.Diff(v, theirs.Interface()); d != "" {
		t.Fatalf("%x is another thing for the library: %s", b, d)
	}
}

// TestMessagesShareNothing decodes one after the other through the same pooled
// buffers, overwrites the buffer each time, and looks at all of them at the end.
func TestMessagesShareNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want, got []any
		buf := make([]byte, MaxMessage)
		for range rapid.IntRange(2, 12).Draw(rt, "messages") {
			d := rapid.SampledFrom(dialogues).Draw(rt, "dialogue")
			r := d.ready().byKind[rapid.SampledFrom(d.Rows).Draw(rt, "row").Kind]
			v := drawMessage(rt, r.typ).Interface()
			b, err := d.Encode(v)
			if err != nil {
				rt.Fatal(err)
			}
			n := copy(buf, b)
			_, rest, err := d.head(buf[:n])
			if err != nil {
				rt.Fatal(err)
			}
			body, err := d.decode(r, rest)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range buf {
				buf[i] = 0xee
			}
			want, got = append(want, v), append(got, reflect.ValueOf(body).Elem().Interface())
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatal(d)
		}
	})
}

func TestPooledBuffersForgetSecrets(t *testing.T) {
	secret := []byte("correct horse battery staple")
	c, fd := channel(t, SessionAuthd, Authd)
	b, err := SessionAuthd.Encode(AuthRequest{User: "dave", Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	raw(t, fd, b)
	m, err := c.Recv()
	if err != nil || !bytes.Equal(m.Body.(*AuthRequest).Secret, secret) {
		t.Fatalf("%+v, %v", m, err)
	}
	for range 8 { // whichever the pool hands out
		buf := buffers.Get().(*[MaxMessage]byte)
		if bytes.Contains(buf[:], secret) {
			t.Error("a receive buffer still holds it")
		}
		e := encoders.Get().(*encoder)
		if bytes.Contains(e.buf[:cap(e.buf)], secret) {
			t.Error("an encoder still holds it")
		}
	}
}

// TestSecretsNeedNoLargerBuffer: what append leaves behind is cleared by nobody.
func TestSecretsNeedNoLargerBuffer(t *testing.T) {
	found := 0
	eachRow(t, func(t *testing.T, _ *Dialogue, r *row) {
		if f, ok := r.typ.FieldByName("Secret"); !ok || f.Type.Kind() != reflect.Slice {
			return
		}
		found++
		most := headLen + 3
		for _, f := range r.shape().field {
			most += 9 + f.max
		}
		if e := encoders.New().(*encoder); most > cap(e.buf) {
			t.Errorf("up to %d bytes, an encoder has room for %d", most, cap(e.buf))
		}
	})
	if found == 0 {
		t.Error("no message has a secret")
	}
}
