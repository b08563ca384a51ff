package shm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// pair returns master's and the session's side of a page.
func pair(t *testing.T) (fd int, master, session *Page) {
	t.Helper()
	fd, master, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd); master.Close() })
	if session, err = OpenPage(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return fd, master, session
}

// heapPage is a page on the heap, where the race detector sees.
func heapPage() *Page {
	p := pageOn(make(words, pageWords))
	p.w[pageMagic].Store(pageHash)
	p.start()
	return p
}

func TestPageTellsWhatTheSessionDoes(t *testing.T) {
	_, master, s := pair(t)
	for _, c := range []struct {
		name string
		do   func()
		want PageView
	}{
		{"born", func() {}, PageView{State: StateAuthenticating, Size: -1}},
		{"USER", func() { s.SetCommand("USER", []byte("dave")) }, PageView{State: StateAuthenticating, Verb: "USER", Arg: "dave", Size: -1, Commands: 1}},
		{"PASS is secret", func() { s.SetCommand("pAsS", []byte("hunter2")) }, PageView{State: StateAuthenticating, Verb: "pAsS", Size: -1, Commands: 2}},
		{"failed", func() { s.SetIdle() }, PageView{State: StateAuthenticating, Size: -1, Commands: 2}},
		{"in", func() { s.SetLoggedIn(); s.SetDir("/pub"); s.SetIdle() }, PageView{State: StateIdle, Dir: "/pub", Size: -1, Commands: 2}},
		{"RETR", func() { s.SetCommand("RETR", []byte("a\xff\n b")) }, PageView{State: StateCommand, Verb: "RETR", Arg: "a\xff\n b", Dir: "/pub", Size: -1, Commands: 3}},
		{"data", func() { s.SetTransfer(StateDownloading, 100); s.AddBytes(60); s.AddBytes(-5); s.SetDir("/") }, PageView{State: StateDownloading, Verb: "RETR", Arg: "a\xff\n b", Dir: "/", Size: 100, Done: 60, BytesOut: 60, Commands: 3}},
		{"done", func() { s.EndTransfer(true) }, PageView{State: StateCommand, Verb: "RETR", Arg: "a\xff\n b", Dir: "/", Size: -1, BytesOut: 60, Commands: 3, Files: 1}},
		{"STOR", func() { s.SetCommand("STOR", []byte("x")); s.SetTransfer(StateUploading, -1); s.AddBytes(7) }, PageView{State: StateUploading, Verb: "STOR", Arg: "x", Dir: "/", Size: -1, Done: 7, BytesIn: 7, BytesOut: 60, Commands: 4, Files: 1}},
		{"broken", func() { s.EndTransfer(false); s.SetIdle() }, PageView{State: StateIdle, Dir: "/", Size: -1, BytesIn: 7, BytesOut: 60, Commands: 4, Files: 1}},
		{"LIST", func() {
			s.SetCommand("LIST", nil)
			s.SetTransfer(StateListing, -1)
			s.AddBytes(3)
			s.EndTransfer(true)
			s.SetIdle()
		}, PageView{State: StateIdle, Dir: "/", Size: -1, BytesIn: 7, BytesOut: 63, Commands: 5, Files: 1}},
	} {
		before := monotonic()
		c.do()
		got, ok := master.Snapshot()
		if !ok {
			t.Fatalf("%s: torn", c.name)
		}
		if d := cmp.Diff(c.want, got, cmpopts.IgnoreFields(PageView{}, "Since", "Activity", "Ended")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if c.name != "born" && (got.Activity < before-int64(time.Millisecond) || got.Activity > monotonic()) {
			t.Errorf("%s: active at %d, between %d and now", c.name, got.Activity, before)
		}
		if at, bytes := master.Activity(); at != got.Activity || bytes != got.BytesIn+got.BytesOut {
			t.Errorf("%s: Activity says %d, %d", c.name, at, bytes)
		}
		if in, out := master.Moved(); in != uint64(got.BytesIn) || out != uint64(got.BytesOut) {
			t.Errorf("%s: Moved says %d, %d", c.name, in, out)
		}
	}
}

// TestPageTellsOfProtectionAndOfTheLastTransfer: neither is disturbed by what
// comes after it.
func TestPageTellsOfProtectionAndOfTheLastTransfer(t *testing.T) {
	_, master, s := pair(t)
	if v, _ := master.Snapshot(); v.TLS || v.Ended != 0 {
		t.Fatalf("a new page says %+v", v)
	}
	s.SetTLS(true)
	s.SetLoggedIn()
	s.SetCommand("LIST", []byte("-a"))
	s.SetTransfer(StateListing, -1)
	before := monotonic() - int64(time.Millisecond)
	s.EndTransfer(false)
	first, _ := master.Snapshot()
	if first.Ended < before || first.Ended > monotonic() || !first.TLS {
		t.Fatalf("after a listing: %+v, begun at %d", first, before)
	}
	s.SetIdle()
	s.SetCommand("NOOP", nil)
	s.SetDir("/x")
	s.SetIdle()
	if v, _ := master.Snapshot(); v.Ended != first.Ended || !v.TLS || v.State != StateIdle || v.Dir != "/x" {
		t.Fatalf("later: %+v, want the end at %d", v, first.Ended)
	}
	s.SetTLS(false)
	if v, _ := master.Snapshot(); v.TLS || v.Dir != "/x" || v.State != StateIdle {
		t.Fatalf("in the clear again: %+v", v)
	}
}

func TestPageCutsLongTexts(t *testing.T) {
	p := heapPage()
	p.SetCommand(strings.Repeat("V", 99), []byte(strings.Repeat("a", 5000)))
	p.SetDir("/" + strings.Repeat("d", 5000))
	v, ok := p.Snapshot()
	if !ok || len(v.Verb) != MaxVerb || len(v.Arg) != MaxArg || len(v.Dir) != MaxDir || !v.ArgCut || !v.DirCut {
		t.Errorf("%v: %d %d %d, cut %v %v", ok, len(v.Verb), len(v.Arg), len(v.Dir), v.ArgCut, v.DirCut)
	}
	p.SetCommand("NOOP", nil)
	p.SetDir("/")
	if v, _ = p.Snapshot(); v.ArgCut || v.DirCut || v.Dir != "/" || v.Verb != "NOOP" {
		t.Errorf("the cut flags stayed: %+v", v)
	}
}

func TestPageCannotChangeSizeNorLoseItsSeals(t *testing.T) {
	fd, _, _ := pair(t)
	for name, err := range map[string]error{
		"shrink": unix.Ftruncate(fd, 0),
		"grow":   unix.Ftruncate(fd, 2*pageSize),
		"extend": unix.Fallocate(fd, 0, 0, 2*pageSize),
	} {
		if err != unix.EPERM {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != unix.EPERM {
		t.Errorf("another seal: %v", err)
	}
	if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("the descriptor survives exec")
	}
}

func TestPageRefusesWhatIsNone(t *testing.T) {
	open := func(size int64, magic uint64, seal int) int {
		fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		head := make([]byte, wordSize)
		binary.LittleEndian.PutUint64(head, magic)
		if _, err := unix.Pwrite(fd, head, 0); err != nil {
			t.Fatal(err)
		}
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seal); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	for name, fd := range map[string]int{
		"right": open(pageSize, pageHash, pageSeals), "short": open(10, pageHash, pageSeals), "long": open(2*pageSize, pageHash, pageSeals),
		"no header": open(pageSize, 0, pageSeals), "closed": -1,
	} {
		p, err := OpenPage(fd)
		if (err == nil) != (name == "right") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			p.Close()
		}
	}
	if p, err := ReadPage(open(pageSize, pageHash, unix.F_SEAL_GROW)); err == nil {
		p.Close()
		t.Error("master mapped a page that can shrink")
	}
}

func TestPageSnapshotAfterClose(t *testing.T) {
	fd, p, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	p.Close()
	p.Close()
	if v, ok := p.Snapshot(); ok {
		t.Errorf("got %+v", v)
	}
	p.Activity()
}

func TestHostilePageIsTamed(t *testing.T) {
	p := heapPage()
	for i := 1; i < pageWords; i++ {
		p.w[i].Store(^uint64(0))
	}
	if v, ok := p.Snapshot(); ok || v.BytesIn != math.MaxInt64 || v.State != StateUnknown {
		t.Errorf("an odd sequence gave %v, %+v", ok, v)
	}
	if in, out := p.Moved(); in != math.MaxInt64 || out != math.MaxInt64 {
		t.Errorf("Moved says %d, %d", in, out)
	}
	p.rec[recSeq].Store(2)
	v, ok := p.Snapshot()
	checkView(t, v)
	if !ok || v.State != StateUnknown || v.Activity > monotonic() {
		t.Errorf("got %v, %+v", ok, v)
	}
	p.w[pageMagic].Store(1)
	if _, ok := p.Snapshot(); ok {
		t.Error("a page without its header was read")
	}
	if in, out := p.Moved(); in != 0 || out != 0 {
		t.Errorf("Moved read a page without its header: %d, %d", in, out)
	}
}

// checkView holds what every PageView promises.
func checkView(t *testing.T, v PageView) {
	t.Helper()
	now := monotonic()
	switch {
	case v.State >= numStates, len(v.Verb) > MaxVerb, len(v.Arg) > MaxArg, len(v.Dir) > MaxDir:
	case v.Size < -1, v.Done < 0, v.BytesIn < 0, v.BytesOut < 0, v.Commands < 0, v.Files < 0:
	case v.Since < 0, v.Activity < 0, v.Ended < 0, v.Since > now, v.Activity > now, v.Ended > now:
	default:
		return
	}
	t.Errorf("not tamed: %+v", v)
}

// FuzzPageSnapshot reads pages that a hostile session has filled.
func FuzzPageSnapshot(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, b []byte, header bool) {
		p := pageOn(make(words, pageWords))
		for i := range p.w {
			var word [wordSize]byte
			if at := i * wordSize; at < len(b) {
				copy(word[:], b[at:])
			}
			p.w[i].Store(binary.LittleEndian.Uint64(word[:]))
		}
		if header {
			p.w[pageMagic].Store(pageHash)
		}
		v, _ := p.Snapshot()
		checkView(t, v)
		if at, bytes := p.Activity(); at < 0 || bytes < 0 {
			t.Errorf("Activity gave %d, %d", at, bytes)
		}
	})
}

func TestPageUnderRace(t *testing.T) {
	p := heapPage()
	p.SetLoggedIn()
	var writers, reader sync.WaitGroup
	done := make(chan struct{})
	p.SetTransfer(StateUploading, -1)
	writers.Go(func() {
		for range 20000 {
			p.AddBytes(1)
		}
	})
	for range 2 {
		writers.Go(func() {
			for n := range uint64(3000) {
				p.SetCommand(pattern(n, MaxVerb), []byte(pattern(n, 64)))
				p.SetDir("/x")
				p.SetIdle()
			}
		})
	}
	reader.Go(func() {
		for {
			if v, ok := p.Snapshot(); ok {
				checkCommand(t, v)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(done)
	reader.Wait()
	if v, ok := p.Snapshot(); !ok || v.BytesIn != 20000 || v.Commands != 6000 {
		t.Errorf("%v: %d bytes, %d commands", ok, v.BytesIn, v.Commands)
	}
}

// checkCommand fails where verb and argument are of two commands.
func checkCommand(t *testing.T, v PageView) {
	t.Helper()
	if v.Verb != "" && v.Arg != "" && v.Verb[0] != v.Arg[0] || strings.Trim(v.Arg, string(append([]byte(v.Arg), 0)[:1])) != "" {
		t.Errorf("torn: %q %q", v.Verb, v.Arg)
	}
}

// TestKilledSession kills a process that writes its page; master's view of it
// is whole or absent.
func TestKilledSession(t *testing.T) {
	torn := 0
	for range 20 {
		fd, p, err := NewPage()
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "page")
		cmd, line, _ := child(t, "page", f)
		f.Close()
		if line != "writing" {
			t.Fatal(line)
		}
		for range rand.IntN(50) {
			if v, ok := p.Snapshot(); ok {
				checkCommand(t, v)
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		if v, ok := p.Snapshot(); !ok {
			torn++
		} else {
			checkCommand(t, v)
		}
		p.Close()
	}
	t.Logf("%d of 20 kills left the page half-written", torn)
}
