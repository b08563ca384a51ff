package vfs

import (
	"errors"
	"path"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sallyport/ipc"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ cwd, arg, want string }{
		{"/", "", "/"},
		{"/a", "", "/a"},
		{"/", "a", "/a"},
		{"/a", "b", "/a/b"},
		{"/a", "/b", "/b"},
		{"/a", "..", "/"},
		{"/", "..", "/"},
		{"/a/b", "../../../..", "/"},
		{"/a/b", "../c/", "/a/c"},
		{"/a", ".", "/a"},
		{"/a", "./", "/a"},
		{"/", "//x///y", "/x/y"},
		{"/", "///", "/"},
		{"/", "...", "/..."},
		{"/", "..a", "/..a"},
		{"/", ".a", "/.a"},
		{"/", " a ", "/ a "},
		{"/", "\xff\r\n", "/\xff\r\n"},
		{"", "x", "/x"},
		{"rel", "x", "/rel/x"},
		{"/a", "b/../../../etc/passwd", "/etc/passwd"},
		{"/", "/..", "/"},
		{"/", "/../..", "/"},
		{"/", "a/..", "/"},
		{"/", "..%2f", "/..%2f"},
	} {
		got, err := Clean(c.cwd, c.arg)
		if err != nil || got != c.want {
			t.Errorf("Clean(%q, %q) = %q, %v; want %q", c.cwd, c.arg, got, err, c.want)
		}
	}
}

func TestCleanRefuses(t *testing.T) {
	for _, c := range []struct {
		cwd, arg string
		want     unix.Errno
	}{
		{"/", "a\x00b", unix.EINVAL},
		{"/a\x00", "b", unix.EINVAL},
		{"/", strings.Repeat("a", MaxPath), unix.ENAMETOOLONG},
		{"/" + strings.Repeat("a", 4000), strings.Repeat("b", 100), unix.ENAMETOOLONG},
	} {
		if got, err := Clean(c.cwd, c.arg); !errors.Is(err, c.want) {
			t.Errorf("%.20q: %.20q, %v", c.arg, got, err)
		}
	}
	if _, err := Clean("/", strings.Repeat("a", MaxPath-1)); err != nil {
		t.Errorf("the longest path: %v", err)
	}
}

func checkClean(t interface{ Fatalf(string, ...any) }, cwd, arg string) {
	got, err := Clean(cwd, arg)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(cwd+arg, "\x00") && len(cwd)+len(arg) < MaxPath {
			t.Fatalf("Clean(%q, %q): %v", cwd, arg, err)
		}
		return
	}
	if again, err := Clean("/elsewhere", got); err != nil || again != got {
		t.Fatalf("not idempotent: %q -> %q -> %q %v", arg, got, again, err)
	}
	if !strings.HasPrefix(got, "/") || got != "/" && strings.HasSuffix(got, "/") {
		t.Fatalf("%q is no clean path", got)
	}
	for c := range strings.SplitSeq(got[1:], "/") {
		if c == "." || c == ".." || c == "" && got != "/" {
			t.Fatalf("%q escapes", got)
		}
	}
	want := arg
	if !strings.HasPrefix(arg, "/") {
		want = cwd + "/" + arg
	}
	if want = path.Clean("/" + want); got != want {
		t.Fatalf("Clean(%q, %q) = %q, want %q", cwd, arg, got, want)
	}
	if dir, name := Split(got); got != "/" && dir != "/" && dir+"/"+name != got || dir == "/" && "/"+name != got {
		t.Fatalf("Split(%q) = %q, %q", got, dir, name)
	}
}

func TestCleanNeverEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"..", ".", "", "a", "...", "..b", "\xff", "c d", "*"}), 0, 12)
		cwd := "/" + strings.Join(words.Draw(t, "cwd"), "/")
		arg := strings.Join(words.Draw(t, "arg"), "/")
		checkClean(t, cwd, arg)
	})
}

func FuzzClean(f *testing.F) {
	f.Add("/", "a/../..")
	f.Add("/x", "//\x00")
	f.Add("", "\xff./..//")
	f.Fuzz(func(t *testing.T, cwd, arg string) { checkClean(t, cwd, arg) })
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&Error{Errno: unix.ENOENT}, "No such file or directory"},
		{&Error{Errno: unix.EACCES}, "Permission denied"},
		{&Error{Errno: unix.EISDIR}, "Is a directory"},
		{&Error{Errno: unix.ENOTEMPTY}, "Directory not empty"},
		{&Error{Errno: 4000}, "Error 4000"},
		{&Error{Denied: ipc.DeniedOverwrite}, "Overwrite permission denied"},
		{&Error{Denied: ipc.DeniedNotRegular}, "Not a regular file"},
		{&Error{Denied: 200}, "Operation not permitted"},
		{unix.EPIPE, "Broken pipe"},
		{errors.New("secret"), "Internal error"},
	} {
		if got := Text(c.err); got != c.want {
			t.Errorf("%#v: %q", c.err, got)
		}
	}
	if e := error(&Error{Op: "open", Path: "/a\r\n", Errno: unix.ENOENT}); !errors.Is(e, unix.ENOENT) || Broken(e) || e.Error() != `open "/a\r\n": No such file or directory` {
		t.Error(e)
	}
	if !Broken(errors.New("eof")) || Broken(nil) || Refused(&Error{Denied: 3}) != 3 || Refused(unix.EIO) != 0 {
		t.Error("Broken or Refused")
	}
}
