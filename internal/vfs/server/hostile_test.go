package server

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// drive sends one request to a server without a channel and checks what any
// answer must hold.
func drive(t interface{ Fatalf(string, ...any) }, s *Server, req any) {
	switch r := req.(type) {
	case ipc.Stat:
		a := s.stat(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.ChangeDir:
		a := pathReply(r.Path, s.changeDir)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Mkdir:
		a := pathReply(r.Path, s.mkdir)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Rmdir:
		a := pathReply(r.Path, s.rmdir)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Remove:
		a := pathReply(r.Path, s.remove)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Rename:
		a := s.rename(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.OpenRead:
		checkOpened(t, s.openRead(&r))
	case ipc.OpenWrite:
		checkOpened(t, s.openWrite(&r))
	case ipc.SetMode:
		a := s.setMode(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.SetGroup:
		a := s.setGroup(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.SetTimes:
		a := s.setTimes(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Symlink:
		a := s.symlink(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.MakeTree:
		a := pathReply(r.Path, s.makeTree)
		checkReply(t, a.Errno, a.Denied)
	case ipc.RemoveTree:
		a := pathReply(r.Path, s.removeTree)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Copy:
		a := s.copyFile(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Space:
		a := s.space(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.Finish:
		a := s.finish(&r)
		checkReply(t, a.Errno, a.Denied)
	case ipc.List:
		checkBatch(t, s.list(&r))
	case ipc.ListNext:
		checkBatch(t, s.listNext())
	case ipc.ListClose:
		s.endListing()
	}
}

func checkReply(t interface{ Fatalf(string, ...any) }, errno uint32, denied uint8) {
	if errno != 0 && denied != 0 || errno > 4095 {
		t.Fatalf("errno %d, denied %d", errno, denied)
	}
	if unix.Errno(errno) == unix.ENOSYS || unix.Errno(errno) == unix.EBADF || unix.Errno(errno) == unix.EFAULT {
		t.Fatalf("errno %v: a mistake of the server's", unix.Errno(errno))
	}
}

func checkOpened(t interface{ Fatalf(string, ...any) }, o opened) {
	checkReply(t, o.reply.Errno, o.reply.Denied)
	if (o.fd >= 0) != (o.reply.Errno == 0 && o.reply.Denied == 0) {
		t.Fatalf("descriptor %d with %+v", o.fd, o.reply)
	}
	if o.fd < 0 {
		return
	}
	defer unix.Close(o.fd)
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil || !isRegular(&st) {
		t.Fatalf("mode %o, %v", st.Mode, err)
	}
}

func checkBatch(t interface{ Fatalf(string, ...any) }, b ipc.ListBatch) {
	checkReply(t, b.Errno, b.Denied)
	if len(b.Lines) > batchBytes || len(b.Lines) > 0 && string(b.Lines[len(b.Lines)-2:]) != "\r\n" || (b.Errno != 0 || b.Denied != 0) && (b.More || len(b.Lines) > 0) {
		t.Fatalf("batch %+v", b)
	}
}

// small is a server of a little tree for tests that send it anything.
func small(t testing.TB) *Server {
	dir, _ := jail(t)
	mkdir(t, dir+"/d/e")
	write(t, dir+"/f", "12345")
	write(t, dir+"/d/g", "")
	symlink(t, "/d", dir+"/l")
	symlink(t, "../..", dir+"/d/up")
	p, err := Start{Root: dir, Home: dir, Links: true}.Enter()
	if err != nil {
		t.Fatal(err)
	}
	r := permissive()
	r.HiddenStores = policy.HiddenStores{Prefix: ".in.", Suffix: "."} // TestAnyRequests switches it on
	s, err := New(p.Root, r, someNames)
	if err != nil {
		t.Fatal(err)
	}
	s.Groups(someGroups)
	t.Cleanup(s.Close)
	return s
}

// Any request in any order gets a sound answer and leaves no descriptor open.
func TestAnyRequestsGetSoundAnswers(t *testing.T) {
	s := small(t)
	paths := rapid.OneOf(
		rapid.SampledFrom([]string{"", "/", "/f", "/d", "/d/g", "/l", "/l/g", "/d/up", "/d/up/f", "/d/e", "/new", "/d/new", "//", "/..", "f", "/a\x00", "/*", "/{d,f}", "/[", "/d/e/x", "/f/x", "/\r\n"}),
		rapid.StringN(0, 20, 60), rapid.StringMatching(`(/[a-f.*{},]{0,4}){0,4}`))
	before := openFiles(t)
	rapid.Check(t, func(t *rapid.T) {
		t.Repeat(map[string]func(*rapid.T){
			"stat": func(t *rapid.T) { drive(t, s, ipc.Stat{Path: paths.Draw(t, "p"), Follow: rapid.Bool().Draw(t, "f")}) },
			"cwd":  func(t *rapid.T) { drive(t, s, ipc.ChangeDir{Path: paths.Draw(t, "p")}) },
			"read": func(t *rapid.T) {
				drive(t, s, ipc.OpenRead{Path: paths.Draw(t, "p"), Offset: rapid.Int64().Draw(t, "o"), Digest: rapid.Bool().Draw(t, "d")})
			},
			"chmod": func(t *rapid.T) {
				drive(t, s, ipc.SetMode{Path: paths.Draw(t, "p"), Mode: rapid.Uint32().Draw(t, "m"), Symbolic: rapid.StringMatching(`([ugoa+=rwxXst,-]{0,8})?`).Draw(t, "s")})
			},
			"chgrp": func(t *rapid.T) {
				drive(t, s, ipc.SetGroup{Path: paths.Draw(t, "p"), Group: rapid.StringMatching(`[0-9]{0,11}|[a-z]{0,3}`).Draw(t, "g")})
			},
			"utime": func(t *rapid.T) {
				drive(t, s, ipc.SetTimes{Path: paths.Draw(t, "p"), Mtime: rapid.Int64().Draw(t, "m"), Atime: rapid.Int64().Draw(t, "a"), KeepAtime: rapid.Bool().Draw(t, "k")})
			},
			"link": func(t *rapid.T) {
				drive(t, s, ipc.Symlink{Target: paths.Draw(t, "t"), Path: paths.Draw(t, "p")})
			},
			"tree":   func(t *rapid.T) { drive(t, s, ipc.MakeTree{Path: paths.Draw(t, "p")}) },
			"rmtree": func(t *rapid.T) { drive(t, s, ipc.RemoveTree{Path: paths.Draw(t, "p")}) },
			"copy":   func(t *rapid.T) { drive(t, s, ipc.Copy{From: paths.Draw(t, "p"), To: paths.Draw(t, "q")}) },
			"space":  func(t *rapid.T) { drive(t, s, ipc.Space{Path: paths.Draw(t, "p")}) },
			"finish": func(t *rapid.T) {
				drive(t, s, ipc.Finish{Upload: rapid.Uint32Range(0, s.lastUpload+1).Draw(t, "u"), Whole: rapid.Bool().Draw(t, "w")})
			},
			"rules": func(t *rapid.T) { // another configuration, in the middle
				s.rules.DeleteAborted, s.rules.AllowOverwrite = rapid.Bool().Draw(t, "d"), rapid.Bool().Draw(t, "o")
				s.hidden.on, s.maxStore, s.maxRetrieve = rapid.Bool().Draw(t, "h"), rapid.Int64Range(0, 9).Draw(t, "m"), rapid.Int64Range(0, 9).Draw(t, "r")
			},
			"mkdir":  func(t *rapid.T) { drive(t, s, ipc.Mkdir{Path: paths.Draw(t, "p")}) },
			"rmdir":  func(t *rapid.T) { drive(t, s, ipc.Rmdir{Path: paths.Draw(t, "p")}) },
			"remove": func(t *rapid.T) { drive(t, s, ipc.Remove{Path: paths.Draw(t, "p")}) },
			"rename": func(t *rapid.T) { drive(t, s, ipc.Rename{From: paths.Draw(t, "p"), To: paths.Draw(t, "q")}) },
			"write": func(t *rapid.T) {
				drive(t, s, ipc.OpenWrite{Path: paths.Draw(t, "p"), How: rapid.Uint8Range(0, 5).Draw(t, "h"), Offset: rapid.Int64Range(-1, 9).Draw(t, "o")})
			},
			"list": func(t *rapid.T) {
				drive(t, s, ipc.List{
					Path: paths.Draw(t, "p"), Shown: paths.Draw(t, "s"), Form: rapid.Uint8Range(0, 4).Draw(t, "form"),
					Options: rapid.StringMatching(`[1aAcCdFhLlnRrStuUz]{0,8}`).Draw(t, "options"), Facts: rapid.Uint32().Draw(t, "facts"),
				})
			},
			"next":  func(t *rapid.T) { drive(t, s, ipc.ListNext{}) },
			"close": func(t *rapid.T) { drive(t, s, ipc.ListClose{}) },
		})
		s.endListing()
		s.endCopy()
		s.abort()
	})
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

// FuzzList looks for arguments that make a listing misbehave or take long.
func FuzzList(f *testing.F) {
	f.Add("/*", "*", "la", uint8(0), uint32(0))
	f.Add("/{d,f}*/../[a-", "{d,f}*/../[a-", "R", uint8(1), uint32(0))
	f.Add("/d/up", "", "", uint8(2), uint32(ipc.AllFacts))
	f.Add("/l", "l", "", uint8(3), uint32(ipc.AllFacts))
	s := small(f)
	f.Fuzz(func(t *testing.T, path, shown, options string, form uint8, facts uint32) {
		if len(path) > 4096 || len(shown) > 4096 || len(options) > 64 {
			return
		}
		start := time.Now()
		drive(t, s, ipc.List{Path: path, Shown: shown, Form: form % 5, Options: options, Facts: facts})
		for n := 0; s.listing != nil; n++ {
			if n == 100 {
				t.Fatal("no end")
			}
			drive(t, s, ipc.ListNext{})
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Fatalf("took %v", d)
		}
	})
}

// FuzzMessages sends raw datagrams over the channel: the server answers or ends
// the session, and lives.
func FuzzMessages(f *testing.F) {
	for _, m := range []any{
		ipc.Stat{Path: "/f"},
		ipc.List{Path: "/"},
		ipc.OpenWrite{Path: "/x", How: 3},
		ipc.Rename{From: "/f", To: "/g"},
		ipc.ListNext{},
		ipc.SetMode{Path: "/f", Symbolic: "u+x"},
		ipc.SetGroup{Path: "/f", Group: "0"},
		ipc.SetTimes{Path: "/f"},
		ipc.Symlink{Target: "f", Path: "/s"},
		ipc.MakeTree{Path: "/m/n"},
		ipc.RemoveTree{Path: "/d"},
		ipc.Copy{From: "/f", To: "/c"},
		ipc.Space{Path: "/"},
		ipc.Finish{Upload: 1, Whole: true},
		ipc.OpenRead{Path: "/f", Digest: true},
	} {
		b, err := ipc.SessionFiles.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x93, 2, 1, 0x90})
	f.Add([]byte{0x93, 1, 1, 0xdd, 0xff, 0xff, 0xff, 0xff})
	s := small(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		a, z, err := ipc.Pair()
		if err != nil {
			t.Fatal(err)
		}
		c := ipc.New(z, ipc.SessionFiles, ipc.Files)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Serve(c, -1) // an error is a broken dialogue, and right
			c.Close()
		}()
		if _, err := unix.SendmsgN(a, b, nil, nil, unix.MSG_NOSIGNAL); err == nil {
			// Every message that is accepted has one answer; the end of the
			// channel comes instead of it otherwise.
			n, _, _, _, err := unix.Recvmsg(a, make([]byte, 70_000), make([]byte, 64), unix.MSG_CMSG_CLOEXEC)
			if err == nil && n > ipc.MaxMessage {
				t.Errorf("an answer of %d bytes", n)
			}
		}
		unix.Close(a)
		<-done
		s.endListing()
		s.endCopy()
		s.abort()
	})
}

// FuzzDirents feeds the parser of directory entries with what no kernel says.
func FuzzDirents(f *testing.F) {
	one := make([]byte, 32)
	binary.NativeEndian.PutUint16(one[direntReclen:], 32)
	one[direntType] = unix.DT_REG
	copy(one[direntName:], "name")
	f.Add(one)
	f.Add(append(one, one[:20]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _ := parseDirents(nil, b)
		total := 0
		for _, e := range l {
			total += len(e.name)
			if e.name == "" || e.name == "." || e.name == ".." {
				t.Fatalf("name %q", e.name)
			}
		}
		if total > len(b) {
			t.Fatalf("%d bytes of names in %d", total, len(b))
		}
	})
}
