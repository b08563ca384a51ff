package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

func TestChanges(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/full/x")
	mkdir(t, dir+"/d")
	mkdir(t, dir+"/kept")
	write(t, dir+"/f", "f")
	symlink(t, "kept", dir+"/dlink")
	symlink(t, "f", dir+"/flink")
	symlink(t, "no", dir+"/dangling")
	c := serve(t, dir, strict(), nil)

	want(t, "mkdir", c.Mkdir("/new/"), nil)
	want(t, "mkdir again", c.Mkdir("/new"), unix.EEXIST)
	want(t, "mkdir on a file", c.Mkdir("/f"), unix.EEXIST)
	want(t, "mkdir on a dangling link", c.Mkdir("/dangling"), unix.EEXIST)
	want(t, "mkdir /", c.Mkdir("/"), unix.EEXIST)
	want(t, "mkdir below nothing", c.Mkdir("/no/x"), unix.ENOENT)
	want(t, "mkdir ..", c.Mkdir("/d/.."), unix.EEXIST)

	want(t, "rmdir", c.Rmdir("/d"), nil)
	want(t, "rmdir full", c.Rmdir("/full"), unix.ENOTEMPTY)
	want(t, "rmdir through a link", c.Rmdir("/dlink"), unix.ENOTDIR)
	want(t, "rmdir through a link with a slash", c.Rmdir("/dlink/"), unix.ENOTDIR)
	want(t, "rmdir file", c.Rmdir("/f"), unix.ENOTDIR)
	want(t, "rmdir /", c.Rmdir("/"), unix.EBUSY)
	want(t, "rmdir .", c.Rmdir("/new/."), nil)

	want(t, "delete a directory", c.Remove("/kept"), unix.EISDIR)
	want(t, "delete /", c.Remove("/"), unix.EISDIR)
	want(t, "delete a link to a directory", c.Remove("/dlink"), nil)
	want(t, "delete a link to a file", c.Remove("/flink"), nil)
	want(t, "delete a dangling link", c.Remove("/dangling"), nil)
	want(t, "delete nothing", c.Remove("/no"), unix.ENOENT)
	for _, p := range []string{"/kept", "/f", "/full/x"} {
		if _, err := os.Stat(dir + p); err != nil {
			t.Error(err)
		}
	}
	want(t, "delete", c.Remove("/f"), nil)
}

func TestChangeDir(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/a/b")
	write(t, dir+"/f", "")
	symlink(t, "/a/b", dir+"/link")
	symlink(t, "loop", dir+"/loop")
	c := serve(t, dir, strict(), nil)
	for _, x := range []struct {
		path, shown string
		want        any
	}{
		{"/", "/", nil},
		{"/a/b/..", "/a", nil},
		{"/link/", "/link", nil},
		{"/../..", "/", nil},
		{"/f", "", unix.ENOTDIR},
		{"/f/x", "", unix.ENOTDIR},
		{"/no", "", unix.ENOENT},
		{"/loop", "", unix.ELOOP},
	} {
		got, err := c.ChangeDir(x.path)
		want(t, x.path, err, x.want)
		if got != x.shown {
			t.Errorf("%s: shown %q", x.path, got)
		}
	}
}

func TestStat(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", "12345")
	when := time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(dir+"/f", when, when); err != nil {
		t.Fatal(err)
	}
	symlink(t, "/f", dir+"/link")
	c := serve(t, dir, strict(), nil)
	i, err := c.Stat("/d/../link", true)
	if err != nil || i.Size != 5 || i.Mtime != when.Unix() || i.Mode != unix.S_IFREG|0o644 || i.Path != "/link" || i.Links != 1 || i.Inode == 0 {
		t.Errorf("%+v %v", i, err)
	}
	if i, err = c.Stat("/link", false); err != nil || i.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("%+v %v", i, err)
	}
	_, err = c.Stat("/no", true)
	want(t, "nothing", err, unix.ENOENT)
}

func TestRename(t *testing.T) {
	for _, x := range []struct {
		from, to  string
		overwrite bool
		want      any
	}{
		{"/f", "/new", false, nil},
		{"/f", "/d/new", false, nil},
		{"/d", "/e", false, nil},
		{"/link", "/l2", false, nil},
		{"/f", "/g", false, refusal(ipc.DeniedOverwrite)},
		{"/f", "/g", true, nil},
		{"/f", "/d", false, refusal(ipc.DeniedOverwrite)},
		{"/f", "/d", true, unix.EISDIR},
		{"/f", "/dangling", false, refusal(ipc.DeniedOverwrite)},
		{"/f", "/dangling", true, nil},
		{"/f", "/link", true, nil},
		{"/d", "/d/x", false, unix.EINVAL},
		{"/d", "/d/x", true, unix.EINVAL},
		{"/d", "/full", true, unix.ENOTEMPTY},
		{"/d", "/f", true, unix.ENOTDIR},
		{"/no", "/new", false, unix.ENOENT},
		{"/f", "/no/new", false, unix.ENOENT},
		{"/", "/new", true, unix.EBUSY},
		{"/f", "/", true, unix.EBUSY},
		{"/f", "/../../new", false, nil},
		{"/f", "/f", false, refusal(ipc.DeniedOverwrite)},
		{"/f", "/f", true, nil},
		{"/no\x00", "/new", true, unix.EINVAL},
	} {
		t.Run(x.from[1:]+" to "+x.to[1:], func(t *testing.T) {
			dir, _ := jail(t)
			write(t, dir+"/f", "f")
			write(t, dir+"/g", "g")
			mkdir(t, dir+"/d")
			mkdir(t, dir+"/full/x")
			symlink(t, "g", dir+"/link")
			symlink(t, "no", dir+"/dangling")
			r := permissive()
			r.AllowOverwrite = x.overwrite
			c := serve(t, dir, r, nil)
			want(t, "rename", c.Rename(x.from, x.to), x.want)
			if x.want != nil && content(t, dir+"/f") != "f" {
				t.Error("a refused rename changed something")
			}
			if content(t, dir+"/g") != "g" && x.to != "/g" {
				t.Error("a rename went through a link")
			}
		})
	}
}

// Another file system: /dev/shm beside the directory of the test, reached from
// the root "/".
func TestRenameAcrossFileSystems(t *testing.T) {
	dir, _ := jail(t)
	other, err := os.MkdirTemp("/dev/shm", "sallyport-test")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	var a, b unix.Stat_t
	if unix.Stat(dir, &a) != nil || unix.Stat(other, &b) != nil || a.Dev == b.Dev {
		t.Skip("no second file system")
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	write(t, dir+"/f", big)
	write(t, dir+"/empty", "")
	write(t, other+"/there", "old")
	mkdir(t, dir+"/d")
	symlink(t, "f", dir+"/link")
	when := time.Unix(1_000_000_000, 5)
	if err := os.Chtimes(dir+"/f", when, when); err != nil {
		t.Fatal(err)
	}
	chmod(t, dir+"/f", 0o4711)
	c := serve(t, "/", strict(), nil)
	want(t, "onto a file", c.Rename(dir+"/f", other+"/there"), refusal(ipc.DeniedOverwrite))
	want(t, "directory", c.Rename(dir+"/d", other+"/d"), unix.EPERM)
	want(t, "link", c.Rename(dir+"/link", other+"/l"), unix.EPERM)
	want(t, "nothing", c.Rename(dir+"/no", other+"/no"), unix.ENOENT)
	want(t, "empty", c.Rename(dir+"/empty", other+"/empty"), nil)
	want(t, "file", c.Rename(dir+"/f", other+"/f"), nil)
	if content(t, other+"/f") != big || content(t, other+"/there") != "old" {
		t.Error("content differs")
	}
	st, err := os.Stat(other + "/f")
	if err != nil || !st.ModTime().Equal(when) || st.Mode() != 0o711 {
		t.Errorf("%v %v %v", st.Mode(), st.ModTime(), err)
	}
	if _, err := os.Stat(dir + "/f"); !os.IsNotExist(err) {
		t.Error("the old name is still there")
	}
	if l, err := os.ReadDir(other); err != nil || len(l) != 3 {
		t.Errorf("left behind: %v %v", l, err)
	}
	c = serve(t, "/", permissive(), nil)
	want(t, "onto a file, allowed", c.Rename(other+"/f", dir+"/g"), nil)
	want(t, "and back", c.Rename(dir+"/g", other+"/there"), nil)
	if content(t, other+"/there") != big {
		t.Error("content differs")
	}
}
