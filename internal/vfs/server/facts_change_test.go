package server

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// withGroups is a server whose user is in groups 7000 "staff" and 7001.
func withGroups(t *testing.T, dir string, find FindGroups) *vfs.Client {
	t.Helper()
	return serveWith(t, dir, permissive(), func(s *Server) {
		s.ids.groups = []uint32{7000, 7001}
		s.Groups(find)
	})
}

func someGroups(r ipc.IDsRequest) (*ipc.IDsReply, error) {
	gid, ok := map[string]int64{"staff": 7000, "wheel": 0, "others": 7002, "odd": 1<<32 - 1, "odder": 1 << 33}[r.Groups[0]]
	if !ok {
		gid = -1
	}
	return &ipc.IDsReply{GIDs: []int64{gid}}, nil
}

func TestSetGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the groups of the test are nobody's")
	}
	dir, secret := jail(t)
	write(t, dir+"/f", "")
	write(t, dir+"/target", "")
	mkdir(t, dir+"/d")
	symlink(t, "target", dir+"/link")
	symlink(t, secret, dir+"/out")
	c := withGroups(t, dir, someGroups)
	member := refusal(ipc.DeniedMember)
	for _, x := range []struct {
		path, group string
		want        any
		file        string
		gid         uint32
	}{
		{"/f", "staff", nil, "/f", 7000},
		{"/f", "7001", nil, "/f", 7001},
		{"/f", "07000", nil, "/f", 7000},
		{"/f", "others", member, "/f", 7000},
		{"/f", "7002", member, "/f", 7000},
		{"/f", "wheel", member, "/f", 7000},
		{"/f", "0", member, "/f", 7000},
		{"/f", "nobody knows it", member, "/f", 7000},
		{"/f", "odd", member, "/f", 7000},
		{"/f", "odder", member, "/f", 7000},
		{"/f", "4294967295", member, "/f", 7000},
		{"/f", "4294974296", member, "/f", 7000}, // 7000 + 2^32
		{"/f", "99999999999999999999", member, "/f", 7000},
		{"/f", "", member, "/f", 7000},
		{"/d", "staff", nil, "/d", 7000},
		{"/link", "staff", nil, "/target", 7000},
		{"/out", "staff", unix.ENOENT, "/../secret", 0},
		{"/no", "staff", unix.ENOENT, "/f", 7000},
	} {
		want(t, x.path+" "+x.group, c.SetGroup(x.path, x.group), x.want)
		var st unix.Stat_t
		if err := unix.Stat(dir+x.file, &st); err != nil || st.Gid != x.gid || st.Uid != 0 {
			t.Errorf("after SetGroup(%s, %s): %d:%d %v", x.path, x.group, st.Uid, st.Gid, err)
		}
	}
}

func TestGroupsWithoutAuthdAreNumbers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the groups of the test are nobody's")
	}
	dir, _ := jail(t)
	write(t, dir+"/f", "")
	c := withGroups(t, dir, func(ipc.IDsRequest) (*ipc.IDsReply, error) { return nil, errors.New("gone") })
	want(t, "by name", c.SetGroup("/f", "staff"), unix.EIO)
	want(t, "by name again", c.SetGroup("/f", "staff"), refusal(ipc.DeniedMember))
	want(t, "by number", c.SetGroup("/f", "7001"), nil)
	c = withGroups(t, dir, func(ipc.IDsRequest) (*ipc.IDsReply, error) { return &ipc.IDsReply{}, nil })
	want(t, "an answer too short", c.SetGroup("/f", "staff"), unix.EIO)
}

func TestSetTimes(t *testing.T) {
	dir, secret := jail(t)
	write(t, dir+"/f", "")
	write(t, dir+"/target", "")
	mkdir(t, dir+"/d")
	symlink(t, "target", dir+"/link")
	symlink(t, secret, dir+"/out")
	c := serve(t, dir, permissive(), nil)
	times := func(path string) (mtime, atime int64) {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Stat(dir+path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Mtim.Sec, st.Atim.Sec
	}
	want(t, "both", c.SetTimes("/f", 1_000_000_000, 1_100_000_000), nil)
	if m, a := times("/f"); m != 1_000_000_000 || a != 1_100_000_000 {
		t.Errorf("%d %d", m, a)
	}
	want(t, "modified alone", c.SetModified("/f", 86_399), nil)
	if m, a := times("/f"); m != 86_399 || a != 1_100_000_000 {
		t.Errorf("%d %d", m, a)
	}
	want(t, "directory", c.SetModified("/d", 5), nil)
	want(t, "through a link", c.SetModified("/link", 6), nil)
	if m, _ := times("/target"); m != 6 {
		t.Errorf("%d", m)
	}
	before, _ := times("/../secret")
	want(t, "out", c.SetModified("/out", 7), unix.ENOENT)
	want(t, "nothing", c.SetModified("/no", 7), unix.ENOENT)
	if m, _ := times("/../secret"); m != before {
		t.Error("the secret was changed")
	}
}

func TestSymlinkKeepsItsTarget(t *testing.T) {
	dir, secret := jail(t)
	write(t, dir+"/f", "inside")
	mkdir(t, dir+"/d")
	c := serve(t, dir, permissive(), nil)
	for path, target := range map[string]string{
		"/a": "/f", "/d/b": "../f", "/c": secret, "/e": "no such//file/../x\xff", "/g": strings.Repeat("t", 4095), "/h": "/proc/self/root/etc",
	} {
		want(t, path, c.Symlink(target, path), nil)
		if got, err := os.Readlink(dir + path); err != nil || got != target {
			t.Errorf("%s: %.80q %v", path, got, err)
		}
	}
	for _, p := range []string{"/a", "/d/b"} {
		if o, err := c.OpenRead(p, 0); err != nil || take(t, o) != "inside" {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := c.OpenRead("/c", 0); outcome(err) != unix.ENOENT {
		t.Errorf("a link to the outside: %v", err)
	}
	for _, x := range []struct {
		target, path string
		want         unix.Errno
	}{
		{"f", "/f", unix.EEXIST},
		{"f", "/a", unix.EEXIST},
		{"f", "/d", unix.EEXIST},
		{"f", "/", unix.EEXIST},
		{"f", "/no/x", unix.ENOENT},
		{"", "/x", unix.EINVAL},
		{"a\x00b", "/x", unix.EINVAL},
		{strings.Repeat("t", 4096), "/x", unix.ENAMETOOLONG},
	} {
		want(t, x.path, c.Symlink(x.target, x.path), x.want)
	}
	if content(t, dir+"/f") != "inside" {
		t.Error("a file was replaced")
	}
}

func TestSpace(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", "")
	c := serve(t, dir, permissive(), nil)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/", "/f"} {
		free, total, err := c.Space(p)
		if err != nil || total != fs.Blocks*uint64(fs.Frsize) || free > total || free == 0 {
			t.Errorf("%s: %d of %d, %v; the kernel says %d blocks", p, free, total, err, fs.Blocks)
		}
	}
	_, _, err := c.Space("/no")
	want(t, "nothing", err, unix.ENOENT)
	for _, x := range [][3]uint64{{3, 4096, 12288}, {0, 4096, 0}, {5, 0, 0}, {1 << 60, 4096, 1<<64 - 1}, {1<<64 - 1, 1, 1<<64 - 1}} {
		if got := bytesOf(x[0], x[1]); got != x[2] {
			t.Errorf("%d of %d: %d", x[0], x[1], got)
		}
	}
}

// The stat of a name in the root goes another way than that of others; the
// answers are the same.
func TestStatInTheRootIsStat(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", "12")
	mkdir(t, dir+"/d")
	symlink(t, "f", dir+"/l")
	symlink(t, "no", dir+"/dangling")
	tr := openTree(t, dir)
	for _, p := range []string{"/", "/f", "/d", "/l", "/dangling", "/no", "/" + strings.Repeat("n", 256)} {
		for _, follow := range []bool{true, false} {
			st, err := tr.stat(p, follow)
			fd, slow, slowErr := tr.handle(p, follow)
			if slowErr == nil {
				unix.Close(fd)
			}
			slow.Atim, st.Atim = unix.Timespec{}, unix.Timespec{}
			if !errors.Is(err, slowErr) || err == nil && st != slow {
				t.Errorf("%s %v: %+v %v, and %+v %v", p, follow, st, err, slow, slowErr)
			}
		}
		dirSt, st, err := tr.entry(p)
		want, wantErr := tr.stat(p, false)
		if !errors.Is(err, wantErr) || err == nil && (st.Ino != want.Ino || dirSt.Ino == 0) {
			t.Errorf("entry %s: %v %v", p, err, wantErr)
		}
	}
}
