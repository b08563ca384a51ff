package ipc

import (
	"errors"
	"math"
	"os"
	"reflect"
	"runtime/metrics"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// dialogues are all there are; table_test.go proves it from the source.
var dialogues = []*Dialogue{
	SessionLane, SessionNotice, SessionAuthd, SessionFiles, MasterAuthd, MasterFiles, AuthdHash, AuthdPam, FilesAuthd,
	MasterNetd, MasterOwner, MasterCertificate,
}

// ends are the processes at the two ends of a dialogue.
var ends = map[*Dialogue][2]Role{
	SessionLane:   {Session, Master},
	SessionNotice: {Master, Session},
	SessionAuthd:  {Session, Authd},
	SessionFiles:  {Session, Files},
	MasterAuthd:   {Master, Authd},
	MasterFiles:   {Master, Files},
	AuthdHash:     {Authd, Hash},
	AuthdPam:      {Authd, Pam},
	FilesAuthd:    {Files, Authd},
	MasterNetd:    {Master, Netd},
	MasterOwner:   {Master, Owner},

	MasterCertificate: {Master, Certificate},
}

func other(d *Dialogue, r Role) Role {
	e := ends[d]
	if e[0] == r {
		return e[1]
	}
	return e[0]
}

// states are the state bits of a dialogue.
func states(d *Dialogue) []State {
	var s []State
	for i := range d.States {
		s = append(s, 1<<i)
	}
	return s
}

// channel returns a Conn for me and the raw descriptor of its peer.
func channel(t testing.TB, d *Dialogue, me Role) (*Conn, int) {
	t.Helper()
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	c := New(a, d, me)
	t.Cleanup(func() { c.Close(); unix.Close(b) })
	return c, b
}

// raw sends a datagram past every check.
func raw(t testing.TB, fd int, b []byte, fds ...int) {
	t.Helper()
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if len(b) == 0 && len(oob) > 0 { // the library would add a byte
		h := unix.Msghdr{Control: &oob[0]}
		h.SetControllen(len(oob))
		if _, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_NOSIGNAL); e != 0 {
			t.Fatal(e)
		}
		return
	}
	if err := unix.Sendmsg(fd, b, oob, nil, unix.MSG_NOSIGNAL); err != nil {
		t.Fatal(err)
	}
}

// datagram is a message with any head.
func datagram(d *Dialogue, kind Kind, body ...byte) []byte {
	return append([]byte{headCode, byte(kind), byte(d.Version)}, body...)
}

func wantProtocolError(t *testing.T, err error) {
	t.Helper()
	var p *ProtocolError
	if !errors.As(err, &p) || p.Dialogue == "" || p.What == "" {
		t.Errorf("got %v, want a *ProtocolError", err)
	}
}

// files returns n descriptors to pass.
func files(t testing.TB, n int) []int {
	t.Helper()
	var fds []int
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		fds = append(fds, int(f.Fd()))
	}
	return fds
}

// openFDs counts this process's descriptors.
func openFDs(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// drawMessage draws a value of a struct type within the limits of its tags.
func drawMessage(t *rapid.T, typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	room := 48 << 10 // what all texts together may take of a message
	fill(t, v, 0, typ.Name(), &room)
	return v
}

func fill(t *rapid.T, v reflect.Value, limit int, name string, room *int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		lowest := int64(math.MinInt64) >> (64 - v.Type().Bits())
		highest := -(lowest + 1)
		v.SetInt(rapid.OneOf(rapid.Int64Range(lowest, highest), rapid.Int64Range(max(lowest, -200), min(highest, 200))).Draw(t, name))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.OneOf(rapid.Uint64Range(0, math.MaxUint64>>(64-v.Type().Bits())), rapid.Uint64Range(0, 255)).Draw(t, name))
	case reflect.String:
		v.SetString(string(drawBytes(t, or(limit, defaultMaxString), name, room)))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if rapid.Bool().Draw(t, name+" is there") {
				v.SetBytes(drawBytes(t, or(limit, defaultMaxString), name, room))
			}
			return
		}
		if !rapid.Bool().Draw(t, name+" is there") {
			return
		}
		n := rapid.IntRange(0, min(or(limit, defaultMaxSlice), 40)).Draw(t, name+" elements")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), 0, name, room)
		}
	case reflect.Struct:
		for f := range v.Type().Fields() {
			fill(t, v.FieldByIndex(f.Index), tagOf(v.Type(), f), f.Name, room)
		}
	default:
		t.Fatalf("%s is a %s", name, v.Kind())
	}
}

// drawBytes draws up to most bytes: mostly few, sometimes the most.
func drawBytes(t *rapid.T, most int, name string, room *int) []byte {
	most = min(most, *room)
	b := rapid.SliceOfN(rapid.Byte(), 0, min(most, 40)).Draw(t, name)
	if b == nil {
		b = []byte{}
	}
	if n := rapid.SampledFrom([]int{0, 0, 0, 31, 32, 255, 256, most}).Draw(t, name+" at least"); n <= most && len(b) < n {
		b = append(b, make([]byte, n-len(b))...)
	}
	*room -= len(b)
	return b
}

// allocated is what the process has ever allocated on the heap, in bytes.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
