package ipc

import (
	"bytes"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// A target for each dialogue: whatever a peer sends, the decoder lives, stays
// within its memory, and what it accepts has that one encoding. The datagram
// also takes the way through a socket, from either side in any state.

func FuzzSessionLane(f *testing.F)   { fuzzDialogue(f, SessionLane) }
func FuzzSessionNotice(f *testing.F) { fuzzDialogue(f, SessionNotice) }
func FuzzSessionAuthd(f *testing.F)  { fuzzDialogue(f, SessionAuthd) }
func FuzzSessionFiles(f *testing.F)  { fuzzDialogue(f, SessionFiles) }
func FuzzMasterAuthd(f *testing.F)   { fuzzDialogue(f, MasterAuthd) }
func FuzzMasterFiles(f *testing.F)   { fuzzDialogue(f, MasterFiles) }
func FuzzAuthdHash(f *testing.F)     { fuzzDialogue(f, AuthdHash) }
func FuzzAuthdPam(f *testing.F)      { fuzzDialogue(f, AuthdPam) }
func FuzzFilesAuthd(f *testing.F)    { fuzzDialogue(f, FilesAuthd) }
func FuzzMasterNetd(f *testing.F)    { fuzzDialogue(f, MasterNetd) }
func FuzzMasterOwner(f *testing.F)   { fuzzDialogue(f, MasterOwner) }

func FuzzMasterCertificate(f *testing.F) { fuzzDialogue(f, MasterCertificate) }

func fuzzDialogue(f *testing.F, d *Dialogue) {
	for _, r := range d.Rows {
		for _, body := range []any{r.Body, filled(reflect.TypeOf(r.Body))} {
			b, err := d.Encode(body)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, uint16(r.In), r.From == ends[d][0])
		}
	}
	a, z, err := Pair()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(a); unix.Close(z) })
	f.Fuzz(func(t *testing.T, b []byte, state uint16, second bool) {
		accepted := checkDatagram(t, d, b)
		if len(b) == 0 || len(b) > MaxMessage {
			return
		}
		me := ends[d][0]
		if second {
			me = ends[d][1]
		}
		c := New(a, d, me)
		c.SetState(State(state))
		raw(t, z, b)
		m, err := c.TryRecv()
		if err == ErrAgain {
			t.Fatal("the datagram did not come")
		}
		if err != nil {
			wantProtocolError(t, err)
			return
		}
		if !accepted {
			t.Fatalf("the decoder refuses what came through: %+v", m.Body)
		}
		if r, ok := d.RowOf(m.Body); !ok || r.Kind != m.Kind || r.From == me || r.In&State(state) == 0 || !r.takes(0) {
			t.Fatalf("to %s in state %#x came %+v", me, state, r)
		}
	})
}

// FuzzReadBlob reads blobs that no encoder made.
func FuzzReadBlob(f *testing.F) {
	for _, v := range []view{{}, filled(reflect.TypeFor[view]()).(view)} {
		b, err := encodeStruct(&v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, k := range libraryKillers {
		if len(k) < 100 {
			f.Add(k)
			f.Add(append([]byte{0x93, 0xa1, 0x78, 0x01}, k...))
		}
	}
	fd, err := unix.MemfdCreate("fuzz", unix.MFD_CLOEXEC)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(fd) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := unix.Ftruncate(fd, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Pwrite(fd, b, 0); err != nil {
			t.Fatal(err)
		}
		var v view
		before := allocated()
		err := ReadBlob(fd, &v)
		if got := allocated() - before; got > 2<<20+64*uint64(len(b)) {
			t.Fatalf("%d bytes of blob made it allocate %d", len(b), got)
		}
		if err != nil {
			return
		}
		if again, err := encodeStruct(&v); err != nil || !bytes.Equal(b, again) {
			t.Fatalf("accepted %x, which is encoded as %x, %v", b, again, err)
		}
	})
}
