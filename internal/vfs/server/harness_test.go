package server

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// open is the policy under which everything is allowed.
func permissive() policy.Files {
	return policy.Files{
		Umask: 0o022, DirUmask: 0o022, AllowOverwrite: true, AllowStoreRestart: true, AllowRetrieveRestart: true,
		StoreUniquePrefix: "ftp", ShowSymlinks: true, TimesGMT: true, UseGlobbing: true,
	}
}

// strict is the default policy.
func strict() policy.Files {
	r := permissive()
	r.AllowOverwrite, r.AllowStoreRestart = false, false
	return r
}

// serve runs a server of dir over a channel and returns the session's end.
func serve(t testing.TB, dir string, rules policy.Files, lookup Lookup) *vfs.Client {
	t.Helper()
	return vfs.NewClient(serveConn(t, dir, rules, lookup))
}

// serveWith is serve of a server that the test prepares.
func serveWith(t testing.TB, dir string, rules policy.Files, prepare func(*Server)) *vfs.Client {
	t.Helper()
	return vfs.NewClient(serveConn(t, dir, rules, nil, prepare))
}

func serveConn(t testing.TB, dir string, rules policy.Files, lookup Lookup, prepare ...func(*Server)) *ipc.Conn {
	t.Helper()
	p, err := Start{Root: dir, Home: dir, Links: true}.Enter()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(p.Root, rules, lookup)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(s)
	}
	a, b, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	session, files := ipc.New(a, ipc.SessionFiles, ipc.Session), ipc.New(b, ipc.SessionFiles, ipc.Files)
	done := make(chan error, 1)
	go func() {
		err := s.Serve(files, -1)
		files.Close()
		s.Close()
		done <- err
	}()
	t.Cleanup(func() {
		session.Close()
		var broken *ipc.ProtocolError
		if err := <-done; err != nil && !errors.As(err, &broken) {
			t.Errorf("serve: %v", err)
		}
	})
	return session
}

// jail is a directory that tests fill, beside something secret.
func jail(t testing.TB) (dir, secret string) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir, secret = filepath.Join(top, "jail"), filepath.Join(top, "secret")
	mkdir(t, dir)
	write(t, secret, "secret")
	return dir, secret
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, 0o644)
}

// touch makes an empty file by one call, for large directories.
func touch(t testing.TB, path string) {
	t.Helper()
	if err := syscall.Mknod(path, syscall.S_IFREG|0o644, 0); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if err := os.Mkdir(path[:i], 0o755); err == nil {
			chmod(t, path[:i], 0o755)
		} else if !os.IsExist(err) {
			t.Fatal(err)
		}
	}
}

// chmod sets a mode whatever the umask is: the servers of earlier tests have
// set that of the whole process.
func chmod(t testing.TB, path string, mode uint32) {
	t.Helper()
	if err := syscall.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func symlink(t testing.TB, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// take reads an opened file to its end and closes it.
func take(t testing.TB, o vfs.Opened) string {
	t.Helper()
	f := os.NewFile(uintptr(o.FD), o.Name)
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lines runs a listing to its end.
func lines(t testing.TB, c *vfs.Client, r ipc.List) ([]string, error) {
	t.Helper()
	l, err := c.List(r)
	if err != nil {
		return nil, err
	}
	var all []byte
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > batchBytes {
			t.Fatalf("a batch of %d bytes", len(b))
		}
		all = append(all, b...)
	}
	text, ok := strings.CutSuffix(string(all), "\r\n")
	switch {
	case len(all) == 0:
		return nil, nil
	case !ok:
		t.Fatalf("the last line does not end: %q", all)
	}
	out := strings.Split(text, "\r\n")
	for _, l := range out {
		if strings.ContainsAny(l, "\r\n") {
			t.Fatalf("a line within a line: %q", l)
		}
	}
	return out, nil
}

// names lists a directory by NLST.
func nlst(t testing.TB, c *vfs.Client, path, shown, options string) []string {
	t.Helper()
	got, err := lines(t, c, ipc.List{Path: path, Shown: shown, Form: ipc.FormNames, Options: options})
	if err != nil {
		t.Fatalf("NLST %q: %v", shown, err)
	}
	return got
}

// outcome is what tests compare errors by: nil, an errno, or a refusal.
func outcome(err error) any {
	var e *vfs.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	case e.Denied != 0:
		return refusal(e.Denied)
	}
	return e.Errno
}

func want(t testing.TB, what string, err error, w any) {
	t.Helper()
	if got := outcome(err); got != w {
		t.Errorf("%s: %v, want %v", what, err, w)
	}
}

// serverOf is a server without a channel.
func serverOf(t testing.TB, dir string, rules policy.Files) *Server {
	t.Helper()
	p, err := Start{Root: dir, Home: dir, Links: true}.Enter()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(p.Root, rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
