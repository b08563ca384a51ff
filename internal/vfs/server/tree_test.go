package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

func TestMakeTree(t *testing.T) {
	dir, secret := jail(t)
	mkdir(t, dir+"/there/d")
	write(t, dir+"/f", "")
	symlink(t, "there", dir+"/link")
	symlink(t, strings.TrimSuffix(secret, "secret"), dir+"/out")
	symlink(t, "nowhere", dir+"/dangling")
	r := permissive()
	r.DirUmask = 0o027
	c := serve(t, dir, r, nil)
	for _, x := range []struct {
		path string
		want any
		made string
	}{
		{"/a/b/c", nil, "/a/b/c"},
		{"/a/b/c", nil, "/a/b/c"},
		{"/a/b/d", nil, "/a/b/d"},
		{"/there/d/e", nil, "/there/d/e"},
		{"/link/d/x", nil, "/there/d/x"}, // links that are there are followed, within the root
		{"/", nil, ""},
		{"/f", unix.ENOTDIR, ""},
		{"/f/x", unix.ENOTDIR, ""},
		{"/out/x", unix.ELOOP, ""},
		{"/dangling/x", unix.ELOOP, ""},
		{"/" + strings.Repeat("n", 256), unix.ENAMETOOLONG, ""},
		{strings.Repeat("/x", 2000), nil, strings.Repeat("/x", 1000)},
	} {
		err := c.MakeTree(x.path)
		if x.want == unix.ELOOP { // a name that is there and leads nowhere
			if err == nil {
				t.Errorf("%s was made", x.path)
			}
			continue
		}
		want(t, fmt.Sprintf("%.20s", x.path), err, x.want)
		if x.made != "" {
			if fi, err := os.Stat(dir + x.made); err != nil || !fi.IsDir() || fi.Mode().Perm() != 0o750 {
				t.Errorf("%.20s: %v %v", x.path, fi, err)
			}
		}
	}
	if _, err := os.Stat(strings.TrimSuffix(secret, "secret") + "/x"); err == nil {
		t.Error("made outside")
	}
}

// emptied calls RemoveTree until it is done, and tells how often.
func emptied(t *testing.T, c *vfs.Client, path string) (calls int, err error) {
	t.Helper()
	for {
		calls++
		if err = c.RemoveTree(path); outcome(err) != unix.EAGAIN || calls > 100_000 {
			return calls, err
		}
	}
}

func TestRemoveTree(t *testing.T) {
	dir, secret := jail(t)
	outside := strings.TrimSuffix(secret, "secret") + "/outside"
	mkdir(t, outside+"/d")
	write(t, outside+"/d/f", "")
	mkdir(t, dir+"/kept")
	write(t, dir+"/kept/f", "")
	mkdir(t, dir+"/t/a/b")
	mkdir(t, dir+"/t/c")
	for _, p := range []string{"/t/f", "/t/a/f", "/t/a/b/f", "/t/.hidden", "/t/a\xffb\n"} {
		write(t, dir+p, "")
	}
	symlink(t, outside, dir+"/t/absolute")
	symlink(t, "../../../outside", dir+"/t/a/relative")
	symlink(t, "../kept", dir+"/t/inside")
	symlink(t, "t", dir+"/link")
	if err := unix.Mkfifo(dir+"/t/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/f", "")
	c := serve(t, dir, permissive(), nil)
	for path, w := range map[string]any{"/": unix.EBUSY, "/f": unix.ENOTDIR, "/link": unix.ENOTDIR, "/no": unix.ENOENT, "/f/x": unix.ENOTDIR} {
		_, err := emptied(t, c, path)
		want(t, path, err, w)
	}
	if _, err := emptied(t, c, "/t"); err != nil {
		t.Error(err)
	}
	if got := listDir(t, dir); got != "f kept link" {
		t.Errorf("%q", got)
	}
	if listDir(t, outside+"/d") != "f" || listDir(t, dir+"/kept") != "f" {
		t.Error("a link was followed")
	}
}

func TestRemoveTreeIsBoundedAndGoesOn(t *testing.T) {
	dir, _ := jail(t)
	c := serveWith(t, dir, permissive(), func(s *Server) { s.removeRun = 100 })
	mkdir(t, dir+"/wide")
	for i := range 1500 {
		touch(t, fmt.Sprintf("%s/wide/%d", dir, i))
	}
	calls, err := emptied(t, c, "/wide")
	if err != nil || calls < 15 {
		t.Errorf("%d calls, %v", calls, err)
	}
	for i := range 100 {
		mkdir(t, fmt.Sprintf("%s/many/%d/d", dir, i))
		touch(t, fmt.Sprintf("%s/many/%d/d/f", dir, i))
	}
	if _, err := emptied(t, c, "/many"); err != nil {
		t.Error(err)
	}
	want(t, "deep", c.MakeTree("/deep"+strings.Repeat("/d", removeDepth-1)), nil)
	if _, err := emptied(t, c, "/deep"); err != nil {
		t.Error(err)
	}
	want(t, "deeper", c.MakeTree("/deeper"+strings.Repeat("/d", removeDepth)), nil)
	_, err = emptied(t, c, "/deeper")
	want(t, "too deep", err, unix.ELOOP)
	if got := listDir(t, dir); got != "deeper" {
		t.Errorf("%q", got)
	}
}

// A mount point within the tree is not crossed.
func TestRemoveTreeStaysOnItsFileSystem(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: mounts")
	}
	dir, _ := jail(t)
	mkdir(t, dir+"/t/mount")
	if err := unix.Mount("none", dir+"/t/mount", "tmpfs", 0, ""); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir+"/t/mount", unix.MNT_DETACH) })
	write(t, dir+"/t/mount/f", "")
	c := serve(t, dir, permissive(), nil)
	_, err := emptied(t, c, "/t")
	want(t, "mount point", err, unix.EXDEV)
	if listDir(t, dir+"/t/mount") != "f" {
		t.Error("crossed")
	}
}

func copyAll(t *testing.T, c *vfs.Client, from, to string) (calls int, err error) {
	t.Helper()
	for {
		calls++
		if err = c.Copy(from, to); outcome(err) != unix.EAGAIN || calls > 100_000 {
			return calls, err
		}
	}
}

func TestCopy(t *testing.T) {
	dir, secret := jail(t)
	write(t, dir+"/f", "content")
	chmod(t, dir+"/f", 0o6777)
	write(t, dir+"/empty", "")
	write(t, dir+"/old", "old")
	write(t, dir+"/large", "12345678901")
	mkdir(t, dir+"/d")
	symlink(t, "f", dir+"/link")
	symlink(t, secret, dir+"/out")
	symlink(t, "nowhere", dir+"/dangling")
	if err := unix.Link(dir+"/f", dir+"/hard"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		from, to  string
		overwrite bool
		want      any
	}{
		{"/f", "/new", false, nil},
		{"/f", "/d/new", false, nil},
		{"/empty", "/new2", false, nil},
		{"/link", "/new3", false, nil},
		{"/f", "/old", false, refusal(ipc.DeniedOverwrite)},
		{"/f", "/old", true, nil},
		{"/f", "/f", false, refusal(ipc.DeniedOverwrite)},
		{"/f", "/f", true, unix.EINVAL},
		{"/f", "/hard", true, unix.EINVAL},
		{"/link", "/f", true, unix.EINVAL},
		{"/f", "/link", true, refusal(ipc.DeniedNotRegular)},
		{"/f", "/dangling", true, refusal(ipc.DeniedNotRegular)},
		{"/f", "/out", true, refusal(ipc.DeniedNotRegular)},
		{"/f", "/d", true, refusal(ipc.DeniedNotRegular)},
		{"/f", "/pipe", true, refusal(ipc.DeniedNotRegular)},
		{"/f", "/", true, refusal(ipc.DeniedNotRegular)},
		{"/d", "/x", true, refusal(ipc.DeniedNotRegular)},
		{"/pipe", "/x", true, refusal(ipc.DeniedNotRegular)},
		{"/out", "/x", true, unix.ENOENT},
		{"/no", "/x", true, unix.ENOENT},
		{"/f", "/no/x", true, unix.ENOENT},
		{"/large", "/x", true, refusal(ipc.DeniedSize)},
	} {
		t.Run(x.from[1:]+" to "+x.to[1:], func(t *testing.T) {
			r := permissive()
			r.AllowOverwrite, r.Umask = x.overwrite, 0o027
			c := serveWith(t, dir, r, func(s *Server) { s.Limit(10, 0) })
			before := listDir(t, dir)
			_, err := copyAll(t, c, x.from, x.to)
			want(t, "copy", err, x.want)
			if x.want != nil {
				if got := listDir(t, dir); got != before {
					t.Errorf("%q, was %q", got, before)
				}
				return
			}
			fi, err := os.Lstat(dir + x.to)
			if err != nil || fi.Mode() != 0o640 || content(t, dir+x.to) != content(t, dir+x.from) {
				t.Errorf("%v %v", fi, err)
			}
		})
	}
	if content(t, secret) != "secret" || content(t, dir+"/f") != "content" {
		t.Error("something else was changed")
	}
	c := serveWith(t, dir, permissive(), func(s *Server) { s.Limit(0, 10) })
	_, err := copyAll(t, c, "/large", "/x")
	want(t, "more than may be fetched", err, refusal(ipc.DeniedSize))
}

// A copy that is given up, by another request or by the end of the session,
// leaves nothing; one that goes on is whole.
func TestCopiesGoOnOrLeaveNothing(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", strings.Repeat("0123456789abcdef", 1<<12))
	write(t, dir+"/old", "old")
	s := serverOf(t, dir, permissive())
	begin := func() {
		t.Helper()
		if err := s.beginCopy(&ipc.Copy{From: "/f", To: "/old"}, "/old"); err != nil {
			t.Fatal(err)
		}
		if got := listDir(t, dir); !strings.HasPrefix(got, ".in.") {
			t.Fatalf("%q", got)
		}
	}
	over := func(what string) {
		t.Helper()
		if got := listDir(t, dir); got != "f old" || content(t, dir+"/old") != "old" {
			t.Errorf("%s: %q, %q", what, got, content(t, dir+"/old"))
		}
	}
	begin()
	answers(t, "another copy", s.copyFile(&ipc.Copy{From: "/no", To: "/old"}), unix.ENOENT)
	over("another copy")
	begin()
	s.endCopy()
	over("given up")
	begin()
	write(t, dir+"/f", "shorter")
	answers(t, "the same copy", s.copyFile(&ipc.Copy{From: "/f", To: "/old"}), 0)
	if content(t, dir+"/old") != "shorter" {
		t.Error("not the content")
	}
	write(t, dir+"/old", "old")
	begin()
	s.Close()
	over("closed")
}

// A source that grows while it is copied stays within the limit.
func TestACopyCountsWhatItCopies(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", "12")
	s := serverOf(t, dir, permissive())
	defer s.Close()
	s.Limit(4, 0)
	if err := s.beginCopy(&ipc.Copy{From: "/f", To: "/g"}, "/g"); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/f", "12345")
	answers(t, "copy", s.copyFile(&ipc.Copy{From: "/f", To: "/g"}), ipc.DeniedSize)
	if got := listDir(t, dir); got != "f" {
		t.Errorf("%q", got)
	}
}

// answers compares an answer with an errno, or with a refusal.
func answers(t *testing.T, what string, a ipc.PathReply, w any) {
	t.Helper()
	ok := false
	switch w := w.(type) {
	case int:
		ok = a.Errno == 0 && a.Denied == 0
	case unix.Errno:
		ok = a.Errno == uint32(w)
	case uint8:
		ok = a.Denied == w
	}
	if !ok {
		t.Errorf("%s: %+v, want %v", what, a, w)
	}
}

// Another file system has no copy within the kernel, perhaps.
func TestCopyAcrossFileSystems(t *testing.T) {
	dir, _ := jail(t)
	other, err := os.MkdirTemp("/dev/shm", "sallyport-test")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	big := strings.Repeat("0123456789abcdef", 1<<16)
	write(t, dir+"/f", big)
	c := serve(t, "/", strict(), nil)
	if _, err := copyAll(t, c, dir+"/f", other+"/g"); err != nil {
		t.Fatal(err)
	}
	if content(t, other+"/g") != big || listDir(t, other) != "g" {
		t.Error("not the content, or something is left")
	}
}
