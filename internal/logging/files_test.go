package logging

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// logDir is a directory that only its owner may write in.
func logDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openFiles(t *testing.T, log *slog.Logger, paths ...string) *Files {
	t.Helper()
	fs := NewFiles(log)
	o, err := OpenAll(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	fs.Take(o)
	t.Cleanup(func() { fs.Close(5 * time.Second) })
	return fs
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var quiet = slog.New(slog.DiscardHandler)

func TestLogFilesAreMadePrivateAndAppended(t *testing.T) {
	dir := logDir(t)
	old := unix.Umask(0)
	defer unix.Umask(old)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(b, []byte("before\n"), 0o604); err != nil {
		t.Fatal(err)
	}
	fs := openFiles(t, quiet, a, b, a)
	fs.Get(a).Line([]byte("one"))
	fs.Get(a).Line([]byte("two"))
	fs.Get(b).Line([]byte("after"))
	if !fs.Flush(10 * time.Second) {
		t.Fatal("not written")
	}
	if got := content(t, a) + content(t, b); got != "one\ntwo\nbefore\nafter\n" {
		t.Errorf("written %q", got)
	}
	if st, _ := os.Stat(a); st.Mode() != 0o640 {
		t.Errorf("mode %v", st.Mode())
	}
	if st, _ := os.Stat(b); st.Mode() != 0o604 {
		t.Errorf("the mode of a file that was there is now %v", st.Mode())
	}
	if fs.Get(dir) != nil || (*Files)(nil).Get(a) != nil {
		t.Error("a file that is not open")
	}
}

func TestRefusedLogFiles(t *testing.T) {
	dir := logDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(in("target"), nil, 0o600), os.Symlink("target", in("link")), os.Symlink("nowhere", in("dangling")),
		os.Mkdir(in("dir"), 0o755), os.Mkdir(in("open"), 0o755), os.Chmod(in("open"), 0o1777),
		unix.Mkfifo(in("fifo"), 0o600), unix.Mknod(in("socket"), unix.S_IFSOCK|0o600, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"link":      "a symbolic link",
		"dangling":  "a symbolic link",
		"dir":       "is a directory",
		"open/log":  "everybody may write in its directory",
		"fifo":      "nobody reads it",
		"socket":    "nobody reads it",
		"none/log":  "its directory: no such file or directory",
		"target/ab": "its directory: not a directory",
	} {
		o, err := OpenAll([]string{in("good"), in(name)}, nil)
		if err == nil {
			o.Close()
			t.Errorf("%s is taken", name)
			continue
		}
		if s := err.Error(); !strings.Contains(s, want) || !strings.HasPrefix(s, fmt.Sprintf("log file %q: ", in(name))) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content(t, in("target")) != "" {
		t.Error("something was written through a link")
	}
	if _, err := os.Lstat(in("nowhere")); err == nil {
		t.Error("a file was made through a link")
	}
	o, errs := OpenSome([]string{in("good"), in("link"), in("dir")}, nil)
	if len(errs) != 2 || len(o.fds) != 1 {
		t.Errorf("OpenSome: %v", errs)
	}
	o.Close()
}

// TestRotation: what is logged before the files are opened anew is in the old
// file, what comes after it in the new one.
func TestRotation(t *testing.T) {
	dir := logDir(t)
	path, gone := filepath.Join(dir, "log"), filepath.Join(dir, "gone")
	fs := openFiles(t, quiet, path, gone)
	f := fs.Get(path)
	for i := range 100 {
		f.Line(fmt.Appendf(nil, "old %d", i))
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	o, err := OpenAll([]string{path}, fs)
	if err != nil {
		t.Fatal(err)
	}
	fs.Take(o)
	if fs.Get(path) != f || fs.Get(gone) != nil {
		t.Error("the wrong files are open")
	}
	for i := range 100 {
		f.Line(fmt.Appendf(nil, "new %d", i))
	}
	fs.Flush(10 * time.Second)
	first, second := content(t, path+".1"), content(t, path)
	if strings.Count(first, "old") != 100 || strings.Contains(first, "new") {
		t.Errorf("the old file:\n%s", first)
	}
	if strings.Count(second, "new") != 100 || strings.Contains(second, "old") {
		t.Errorf("the new file:\n%s", second)
	}
}

// TestAFullDiskIsSaidOnceASecond and does not tear the lines that come when
// there is room again.
func TestAFullDiskLosesLinesAndSaysSo(t *testing.T) {
	var said syncLines
	dir := logDir(t)
	path := filepath.Join(dir, "log")
	fs := openFiles(t, slog.New(slog.NewTextHandler(&said, nil)), path)
	f := fs.Get(path)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	f.Line([]byte("whole"))
	fs.Flush(10 * time.Second)
	small := unix.Rlimit{Cur: 10, Max: limit.Max} // a file size limit stands for a disk: the write stops in the middle
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	f.Line([]byte("in part"))
	f.Line([]byte("not at all"))
	fs.Flush(10 * time.Second)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	f.Line([]byte("again"))
	fs.Flush(10 * time.Second)
	if got := content(t, path); got != "whole\nin p\nagain\n" {
		t.Errorf("written %q", got)
	}
	said.wait(t, "lines of a file were lost", func(s string) bool {
		both := strings.Contains(s, "count=2") || strings.Count(s, "count=1") == 2 // the second one a second later
		return strings.Contains(s, "lines of a log file were lost") && both && strings.Contains(s, path)
	})
	if fs.Dropped() != 2 {
		t.Errorf("%d counted", fs.Dropped())
	}
}

// TestASleepingReaderOfAFIFOBlocksNobody and gets whole lines when it wakes up.
func TestASleepingReaderOfAFIFOBlocksNobody(t *testing.T) {
	var said syncLines
	path := filepath.Join(logDir(t), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs := openFiles(t, slog.New(slog.NewTextHandler(&said, nil)), path)
	f := fs.Get(path)
	long := strings.Repeat("x", 9000) // more than a FIFO takes whole
	for i := range 200 {
		f.Line(fmt.Appendf(nil, "%d %s", i, long))
	}
	if !fs.Flush(10 * time.Second) {
		t.Fatal("a FIFO that nobody empties holds the writer up")
	}
	if fs.Dropped() < 100 {
		t.Errorf("%d lines lost, the FIFO holds few", fs.Dropped())
	}
	said.wait(t, "the loss to be told", func(s string) bool { return strings.Contains(s, "lines of a log file were lost") })

	// The reader wakes up: a line that went in part is finished, then come new
	// ones. It empties the FIFO first, so that there is room.
	var got strings.Builder
	drain := func() {
		b := make([]byte, 1<<16)
		for {
			n, err := unix.Read(int(reader.Fd()), b)
			if n <= 0 {
				if err != unix.EAGAIN {
					t.Fatalf("read: %d, %v", n, err)
				}
				return
			}
			got.Write(b[:n])
		}
	}
	if err := unix.SetNonblock(int(reader.Fd()), true); err != nil {
		t.Fatal(err)
	}
	drain()
	f.Line([]byte("awake"))
	fs.Flush(10 * time.Second)
	drain()
	lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
	for i, l := range lines[:len(lines)-1] {
		if want := fmt.Sprintf("%d %s", i, long); l != want {
			t.Fatalf("line %d: %.40q ... of %d bytes", i, l, len(l))
		}
	}
	if last := lines[len(lines)-1]; last != "awake" {
		t.Errorf("last line %.40q", last)
	}

	// It leaves: a reload keeps the FIFO, and a later reader gets lines again.
	reader.Close()
	if _, err := OpenAll([]string{path}, nil); !errors.Is(err, unix.ENXIO) {
		t.Errorf("a FIFO without a reader at the start: %v", err)
	}
	o, err := OpenAll([]string{path}, fs)
	if err != nil {
		t.Fatal(err)
	}
	fs.Take(o)
	f.Line([]byte("to nobody"))
	fs.Flush(10 * time.Second)
	reader, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	f.Line([]byte("to somebody"))
	fs.Flush(10 * time.Second)
	b := make([]byte, 100)
	n, err := reader.Read(b)
	if err != nil && err != io.EOF || string(b[:n]) != "to somebody\n" {
		t.Errorf("read %q, %v", b[:n], err)
	}
}

// TestAHungWriterIsBounded: a queue that nobody takes from ends at its bound.
func TestAHungWriterIsBounded(t *testing.T) {
	fs := NewFiles(quiet)
	f := &File{fs: fs, path: "/hung", next: -1, wake: make(chan struct{}, 1)}
	line := make([]byte, 1000)
	for range 2 * maxQueued / len(line) {
		f.Line(line)
	}
	if len(f.queued) > maxQueued {
		t.Errorf("%d bytes wait", len(f.queued))
	}
	if n := fs.Dropped(); n < maxQueued/1001 {
		t.Errorf("%d lines counted as lost", n)
	}
	fs.open["/hung"] = f
	if fs.Flush(time.Millisecond) {
		t.Error("a hung file has been flushed")
	}
}

func TestLinesOfManyGoroutinesStayWhole(t *testing.T) {
	path := filepath.Join(logDir(t), "log")
	fs := openFiles(t, quiet, path)
	f := fs.Get(path)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 250 {
				f.Line(fmt.Appendf(nil, "%d.%d", g, i))
			}
		})
	}
	wg.Wait()
	fs.Flush(10 * time.Second)
	seen := map[string]bool{}
	for l := range strings.Lines(content(t, path)) {
		seen[l] = true
	}
	for g := range 4 {
		for i := range 250 {
			if !seen[fmt.Sprintf("%d.%d\n", g, i)] {
				t.Fatalf("%d.%d is missing", g, i)
			}
		}
	}
}

// syncLines collects what a handler says.
type syncLines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncLines) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncLines) wait(t *testing.T, what string, ok func(string) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		got := s.b.String()
		s.mu.Unlock()
		if ok(got) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited for %s; said:\n%s", what, got)
		}
	}
}
