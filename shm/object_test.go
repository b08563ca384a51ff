package shm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// shmDir is a directory on tmpfs where there is one, as in service.
func shmDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(Dir, "sallyport-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mustOpen(t *testing.T, dir string, l *Layout, n int) *Object {
	t.Helper()
	o, err := OpenObject(dir, "test", l, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

func TestObjectIsPrivateAllocatedAndKept(t *testing.T) {
	for _, l := range []*Layout{&BoardLayout, &BanLayout, &DelayLayout} {
		t.Run(l.Name, func(t *testing.T) {
			dir := shmDir(t)
			o := mustOpen(t, dir, l, 100)
			var st unix.Stat_t
			if err := unix.Stat(o.Path(), &st); err != nil {
				t.Fatal(err)
			}
			if st.Mode&0o7777 != 0o600 || st.Size != l.size(100) || st.Blocks*512 < st.Size {
				t.Errorf("mode %#o, %d bytes, %d allocated; want 0600, %d", st.Mode&0o7777, st.Size, st.Blocks*512, l.size(100))
			}
			if o.Origin != Created || o.Entries() != 100 {
				t.Errorf("origin %d, %d entries", o.Origin, o.Entries())
			}
			o.entry(99)[1].Store(42)
			o.Close()
			if o = mustOpen(t, dir, l, 100); o.Origin != Kept || o.entry(99)[1].Load() != 42 {
				t.Errorf("opened again: origin %d (%s), word %d", o.Origin, o.Reason, o.entry(99)[1].Load())
			}
			o.Close()
			o, err := CreateObject(dir, "test", l, 100)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if o.Origin != Created || o.entry(99)[1].Load() != 0 {
				t.Errorf("created again: origin %d, word %d", o.Origin, o.entry(99)[1].Load())
			}
		})
	}
}

func TestObjectGrowsAndNeverShrinks(t *testing.T) {
	dir := shmDir(t)
	o := mustOpen(t, dir, &BoardLayout, 10)
	o.entry(9)[1].Store(42)
	for _, c := range []struct{ ask, want int }{{500, 500}, {20, 500}} {
		o.Close()
		o = mustOpen(t, dir, &BoardLayout, c.ask)
		if o.Origin != Kept || o.Entries() != c.want || o.entry(9)[1].Load() != 42 {
			t.Errorf("%d entries asked: origin %d (%s), %d entries, word %d", c.ask, o.Origin, o.Reason, o.Entries(), o.entry(9)[1].Load())
		}
		o.entry(o.Entries() - 1)[1].Store(1) // mapped to the end
	}
}

func TestWrongHeaderMeansANewObject(t *testing.T) {
	corrupt := func(word int, v uint64) func(*Object) {
		return func(o *Object) { o.w[word].Store(v) }
	}
	for name, damage := range map[string]func(*Object){
		"magic":            corrupt(headMagic, 1),
		"version":          corrupt(headVersion, 99),
		"layout hash":      corrupt(headLayout, 0),
		"size":             corrupt(headSize, 1<<40),
		"no entries":       corrupt(headEntries, 0),
		"too many entries": corrupt(headEntries, 1<<63),
		"other entries":    corrupt(headEntries, 1),
		"all zero":         func(o *Object) { clear(o.mem) },
		"all ones": func(o *Object) {
			for i := range o.mem {
				o.mem[i] = 0xff
			}
		},
		"empty file":   func(o *Object) { unix.Ftruncate(o.fd, 0) },
		"half a page":  func(o *Object) { unix.Ftruncate(o.fd, 100) },
		"cut":          func(o *Object) { unix.Ftruncate(o.fd, pageSize) },
		"odd length":   func(o *Object) { unix.Ftruncate(o.fd, pageSize+1) },
		"longer":       func(o *Object) { unix.Ftruncate(o.fd, 1<<20) },
		"mode":         func(o *Object) { unix.Fchmod(o.fd, 0o666) },
		"second link":  func(o *Object) { os.Link(o.path, o.path+".link") },
		"other object": func(o *Object) { o.w[headLayout].Store(BanLayout.hash()) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shmDir(t)
			o := mustOpen(t, dir, &BoardLayout, 64)
			o.entry(3)[1].Store(42)
			damage(o)
			o.Close()
			if r, err := OpenBoardReader(dir, "test"); err == nil {
				r.Close()
				t.Error("a reader took it")
			}
			o = mustOpen(t, dir, &BoardLayout, 64)
			if o.Origin != Rebuilt || o.Reason == "" || o.entry(3)[1].Load() != 0 {
				t.Errorf("origin %d, reason %q, word %d", o.Origin, o.Reason, o.entry(3)[1].Load())
			}
			if reason := o.checkHeader(o.layout.size(64)); reason != "" {
				t.Errorf("the new one: %s", reason)
			}
		})
	}
}

func TestForeignThingsAtTheNameAreReplacedNotFollowed(t *testing.T) {
	for name, plant := range map[string]func(path, victim string) error{
		"symlink":     func(path, victim string) error { return os.Symlink(victim, path) },
		"broken link": func(path, _ string) error { return os.Symlink("/nonexistent/x", path) },
		"fifo":        func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"other owner": func(path, _ string) error { // with the best of contents
			o, err := CreateObject(filepath.Dir(path), "test", &BoardLayout, 64)
			if err != nil {
				return err
			}
			o.entry(0)[slotID].Store(42)
			o.Close()
			return os.Chown(path, 12345, 12345)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "other owner" && os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			dir := shmDir(t)
			victim := filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(filepath.Join(dir, "sallyport.test.board"), victim); err != nil {
				t.Fatal(err)
			}
			o := mustOpen(t, dir, &BoardLayout, 64)
			if o.Origin != Rebuilt || o.Reason == "" || o.entry(0)[slotID].Load() != 0 {
				t.Errorf("origin %d, reason %q", o.Origin, o.Reason)
			}
			if got, _ := os.ReadFile(victim); string(got) != "precious" {
				t.Errorf("the link's target now holds %q", got)
			}
		})
	}
}

func TestDirectoryAtTheNameIsAnError(t *testing.T) {
	dir := shmDir(t)
	if err := os.Mkdir(filepath.Join(dir, "sallyport.test.board"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateBoard(dir, "test", 8); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

func TestSecondInstanceIsRefused(t *testing.T) {
	dir := shmDir(t)
	cmd, line, _ := child(t, "holder:"+dir)
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if line != "held" {
		t.Fatal(line)
	}
	for name, open := range map[string]func(string, string, int) (*Board, error){"create": CreateBoard, "open": OpenBoard} {
		_, err := open(dir, "test", 8)
		if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "sallyport.test.board") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := CreateBoard(dir, "other", 8); err != nil {
		t.Errorf("another instance name: %v", err)
	} else if err := b.Remove(); err != nil {
		t.Error(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	b, err := OpenBoard(dir, "test", 8)
	if err != nil {
		t.Fatalf("after its death: %v", err)
	}
	if err := b.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(b.Path()); !os.IsNotExist(err) {
		t.Errorf("removed, but %v", err)
	}
}

func TestObjectRefusesImpossibleSizes(t *testing.T) {
	for _, n := range []int{-1, 0, 1 << 40} {
		if o, err := CreateObject(shmDir(t), "test", &BoardLayout, n); err == nil {
			o.Close()
			t.Errorf("%d entries were possible", n)
		}
	}
	if _, err := CreateBoard(filepath.Join(shmDir(t), "missing"), "test", 8); !errors.Is(err, unix.ENOENT) {
		t.Errorf("missing directory: %v", err)
	}
}

// TestReadOnlyMeansReadOnly gives an object to another process by an O_RDONLY
// descriptor: it can neither map it for writing, nor make its mapping writable,
// nor truncate it, and a write kills it.
func TestReadOnlyMeansReadOnly(t *testing.T) {
	o := mustOpen(t, shmDir(t), &BanLayout, 64)
	for _, write := range []string{"", "write"} {
		fd, err := o.ReadOnly()
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "ban")
		cmd, line, rest := child(t, "readonly:"+write, f)
		f.Close()
		if want := "map=EACCES mprotect=EACCES truncate=EINVAL"; line != want {
			t.Errorf("got %s, want %s", line, want)
		}
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := rest.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		err = cmd.Wait()
		switch died := strings.Contains(b.String(), "SIGSEGV") || strings.Contains(b.String(), "SIGBUS"); {
		case write == "" && err != nil:
			t.Errorf("reading: %v\n%s", err, b.String())
		case write != "" && (err == nil || !died):
			t.Errorf("writing: %v, no fault seen\n%s", err, b.String())
		}
	}
	if o.w[headMagic].Load() != magic {
		t.Error("the object was changed")
	}
}

func TestReadOnlyDoesNotOpenAReplacement(t *testing.T) {
	o := mustOpen(t, shmDir(t), &BanLayout, 64)
	if err := os.Rename(o.Path(), o.Path()+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Path(), make([]byte, pageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if fd, err := o.ReadOnly(); err == nil {
		unix.Close(fd)
		t.Error("another file was opened under its name")
	}
}
