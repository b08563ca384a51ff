package home

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The user of the tests: somebody else where the test is root.
const testUID, testGID = 54321, 54322

// ids are the ids a test can give away to.
func ids(t *testing.T) (uid, gid uint32) {
	t.Helper()
	if os.Getuid() == 0 {
		return testUID, testGID
	}
	t.Skip("needs root: directories on the way must be root's, and are given away")
	return 0, 0
}

// place is a directory like /home: everything on the way is root's, and nobody
// else may change it.
func place(t *testing.T) string {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for p := top; p != "/"; p = filepath.Dir(p) {
		if err := unix.Access(p, unix.X_OK); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	return top
}

func request(t *testing.T, path string) Request {
	uid, gid := ids(t)
	return Request{Path: path, UID: uid, GID: gid, Mode: 0o700, DirMode: 0o711}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st
}

// facts says what a test wants to know of a path.
func facts(t *testing.T, path string) [3]uint32 {
	t.Helper()
	st := stat(t, path)
	return [3]uint32{st.Mode, st.Uid, st.Gid}
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	l, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range l {
		if strings.HasPrefix(e.Name(), ".sallyport-") {
			t.Errorf("%s is left in %s", e.Name(), dir)
		}
	}
}

func TestAHomeIsMadeWithTheDirectoriesAboveIt(t *testing.T) {
	top := place(t)
	r := request(t, top+"/a/b/alice")
	created, err := Make(r)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	for path, want := range map[string][3]uint32{
		"/a":         {unix.S_IFDIR | 0o711, 0, 0},
		"/a/b":       {unix.S_IFDIR | 0o711, 0, 0},
		"/a/b/alice": {unix.S_IFDIR | 0o700, testUID, testGID},
	} {
		if got := facts(t, top+path); got != want {
			t.Errorf("%s: %o %d %d", path, got[0], got[1], got[2])
		}
	}
	nothingLeft(t, top+"/a/b")
	if created, err := Make(r); created || err != nil {
		t.Errorf("again: %v %v", created, err)
	}
}

func TestAHomeThatExistsIsNotTouched(t *testing.T) {
	top := place(t)
	r := request(t, top+"/alice")
	r.Skeleton = top
	must(t, os.Mkdir(r.Path, 0o755))
	must(t, unix.Chmod(r.Path, 0o757)) // as open as can be
	before := stat(t, r.Path)
	created, err := Make(r)
	if created || err != nil {
		t.Fatal(created, err)
	}
	if d := cmp.Diff(before, stat(t, r.Path)); d != "" {
		t.Error(d)
	}
	// A file in its place is an error, and stays.
	r.Path = top + "/file"
	must(t, os.WriteFile(r.Path, []byte("x"), 0o600))
	if created, err := Make(r); created || err == nil {
		t.Error("a file was taken for a home")
	}
}

func TestModesNeverHoldSetUser(t *testing.T) {
	top := place(t)
	r := request(t, top+"/a/alice")
	r.Mode, r.DirMode = 0o6775, 0o7777
	if _, err := Make(r); err != nil {
		t.Fatal(err)
	}
	if got := facts(t, r.Path)[0]; got != unix.S_IFDIR|0o2775 {
		t.Errorf("home %o", got)
	}
	if got := facts(t, top+"/a")[0]; got != unix.S_IFDIR|0o755 {
		t.Errorf("directory above it %o", got)
	}
}

func TestWhatIsNoPlaceForAHome(t *testing.T) {
	uid, gid := ids(t)
	top := place(t)
	must(t, os.WriteFile(top+"/file", nil, 0o644))
	must(t, os.Mkdir(top+"/open", 0o755))
	must(t, unix.Chmod(top+"/open", 0o777))
	must(t, os.Mkdir(top+"/foreign", 0o755))
	must(t, os.Chown(top+"/foreign", 12345, 12345))
	must(t, os.Mkdir(top+"/theirs", 0o755))
	must(t, os.Chown(top+"/theirs", int(uid), int(gid)))
	must(t, os.Symlink("foreign", top+"/theirs/link"))
	must(t, os.Symlink(top+"/real", top+"/theirs/made"))
	must(t, os.Lchown(top+"/theirs/link", int(uid), int(gid)))
	must(t, os.Symlink(".", top+"/given"))
	must(t, os.Lchown(top+"/given", int(uid), int(gid)))
	must(t, os.Symlink("loop", top+"/loop"))
	for _, x := range []struct {
		path string
		why  error
	}{
		{top + "/file/alice", unix.ENOTDIR},
		{top + "/open/alice", errOpen},
		{top + "/foreign/alice", errOwner},
		{top + "/theirs/link/alice", errLink},
		{top + "/theirs/made/alice", errLink}, // root's, in a directory that is not
		{top + "/theirs/made", errLink},
		{top + "/given/alice", errLink}, // not root's, in a directory that is
		{top + "/loop/alice", unix.ELOOP},
		{top + "/../alice", nil},
		{top + "/./alice", nil},
		{"alice", nil},
		{"", nil},
		{"/", nil},
		{top + "/a\x00b", nil},
		{top + "/" + strings.Repeat("a", 256), unix.ENAMETOOLONG},
		{"/" + strings.Repeat("a/", 3000), nil},
	} {
		created, err := Make(Request{Path: x.path, UID: uid, GID: gid, Mode: 0o700, DirMode: 0o711})
		if created || err == nil || x.why != nil && !errors.Is(err, x.why) {
			t.Errorf("%q: %v, %v", x.path, created, err)
		}
	}
	for _, id := range [][2]uint32{{0, gid}, {^uint32(0), gid}, {uid, ^uint32(0)}} {
		if _, err := Make(Request{Path: top + "/root", UID: id[0], GID: id[1], Mode: 0o700, DirMode: 0o711}); err == nil {
			t.Errorf("a home for %v", id)
		}
	}
	l, err := os.ReadDir(top)
	must(t, err)
	if len(l) != 6 {
		t.Errorf("%v", l)
	}
}

// A link that root has placed where only root can is the administrator's way to
// put homes elsewhere; below a directory of the user's own root's files are made
// safely.
func TestWaysThatAreTaken(t *testing.T) {
	uid, gid := ids(t)
	top := place(t)
	must(t, os.Mkdir(top+"/data", 0o755))
	must(t, os.Symlink("data/homes", top+"/home"))
	must(t, os.Mkdir(top+"/theirs", 0o700))
	must(t, os.Chown(top+"/theirs", int(uid), int(gid)))
	must(t, os.Mkdir(top+"/team", 0o775))
	must(t, unix.Chmod(top+"/team", 0o2775))
	for path, real := range map[string]string{
		"/home/alice": "/data/homes/alice", "/theirs/sub/alice": "/theirs/sub/alice", "/team/alice/": "/team/alice", "//data//bob": "/data/bob",
	} {
		created, err := Make(Request{Path: top + path, UID: uid, GID: gid, Mode: 0o700, DirMode: 0o711})
		if err != nil || !created {
			t.Errorf("%s: %v %v", path, created, err)
			continue
		}
		if got := facts(t, top+real); got != [3]uint32{unix.S_IFDIR | 0o700, uid, gid} {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestTheSkeletonIsCopied(t *testing.T) {
	uid, gid := ids(t)
	top := place(t)
	skel := top + "/skel"
	must(t, os.MkdirAll(skel+"/d/e", 0o755))
	must(t, unix.Chmod(skel+"/d", 0o2750))
	must(t, os.WriteFile(skel+"/.profile", []byte(strings.Repeat("profile", 50_000)), 0o644))
	must(t, os.WriteFile(skel+"/d/tool", []byte("tool"), 0o755))
	must(t, unix.Chmod(skel+"/d/tool", 0o6755))
	must(t, os.Symlink("/etc/shadow", skel+"/link"))
	must(t, os.Symlink("no", skel+"/d/e/dangling"))
	must(t, unix.Chmod(skel+"/.profile", 0o644)) // the umask is that of earlier homes
	must(t, unix.Chmod(skel+"/d/e", 0o755))
	must(t, unix.Mkfifo(skel+"/pipe", 0o644))
	must(t, unix.Mknod(skel+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	r := Request{Path: top + "/alice", UID: uid, GID: gid, Mode: 0o750, DirMode: 0o711, Skeleton: skel}
	if created, err := Make(r); err != nil || !created {
		t.Fatal(created, err)
	}
	got := map[string][3]uint32{}
	must(t, filepath.Walk(r.Path, func(p string, _ os.FileInfo, err error) error {
		got[strings.TrimPrefix(p, r.Path)] = facts(t, p)
		return err
	}))
	if d := cmp.Diff(map[string][3]uint32{
		"":              {unix.S_IFDIR | 0o750, uid, gid},
		"/.profile":     {unix.S_IFREG | 0o644, uid, gid},
		"/d":            {unix.S_IFDIR | 0o750, uid, gid},
		"/d/e":          {unix.S_IFDIR | 0o755, uid, gid},
		"/d/e/dangling": {unix.S_IFLNK | 0o777, uid, gid},
		"/d/tool":       {unix.S_IFREG | 0o755, uid, gid},
		"/link":         {unix.S_IFLNK | 0o777, uid, gid},
	}, got); d != "" {
		t.Error(d)
	}
	if b, err := os.ReadFile(r.Path + "/.profile"); err != nil || len(b) != 350_000 {
		t.Error(len(b), err)
	}
	if s, err := os.Readlink(r.Path + "/link"); err != nil || s != "/etc/shadow" {
		t.Error(s, err)
	}
	if st := stat(t, "/etc/shadow"); st.Uid != 0 {
		t.Error("a link was followed")
	}
}

// A skeleton out of bounds, or late, leaves nothing.
func TestASkeletonOutOfBoundsLeavesNothing(t *testing.T) {
	top := place(t)
	if fast, err := os.MkdirTemp("/dev/shm", "sallyport-test"); err == nil { // thousands of files
		t.Cleanup(func() { os.RemoveAll(fast) })
		must(t, unix.Chmod(fast, 0o755))
		top = fast
	}
	r := request(t, top+"/alice")
	many, deep, big, foreign := top+"/many", top+"/deep", top+"/big", top+"/foreign"
	must(t, os.Mkdir(many, 0o755))
	for i := range maxEntries + 1 {
		must(t, unix.Mknod(many+"/"+strings.Repeat("x", i%200+1)+string(rune('a'+i/200)), unix.S_IFREG|0o644, 0))
	}
	must(t, os.MkdirAll(deep+strings.Repeat("/d", maxDepth), 0o755))
	must(t, os.Mkdir(big, 0o755))
	must(t, os.WriteFile(big+"/f", nil, 0o644))
	must(t, os.Truncate(big+"/f", maxBytes+1))
	must(t, os.Mkdir(foreign, 0o755))
	must(t, os.Chown(foreign, 12345, 12345))
	must(t, os.MkdirAll(top+"/skel/d", 0o755))
	for skel, why := range map[string]error{
		many: errTooLarge, deep: errTooLarge, big: errTooLarge, foreign: errOwner, top + "/no": unix.ENOENT,
	} {
		r.Skeleton = skel
		if created, err := Make(r); created || !errors.Is(err, why) {
			t.Errorf("%s: %v %v", skel, created, err)
		}
	}
	r.Skeleton, r.Deadline = top+"/skel", time.Now().Add(-time.Second)
	if created, err := Make(r); created || !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("late: %v %v", created, err)
	}
	nothingLeft(t, top)
	if _, err := os.Lstat(r.Path); err == nil {
		t.Error("half a home")
	}
}

// Many at once make one home, whole.
func TestOneOfManyWins(t *testing.T) {
	top := place(t)
	r := request(t, top+"/a/alice")
	must(t, os.MkdirAll(top+"/skel", 0o755))
	must(t, os.WriteFile(top+"/skel/f", []byte("f"), 0o644))
	r.Skeleton = top + "/skel"
	var wg sync.WaitGroup
	made := make(chan bool, 16)
	for range cap(made) {
		wg.Go(func() {
			created, err := Make(r)
			if err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(r.Path + "/f"); err != nil || string(b) != "f" {
				t.Errorf("%q %v", b, err)
			}
			made <- created
		})
	}
	wg.Wait()
	n := 0
	for range cap(made) {
		if <-made {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d homes", n)
	}
	nothingLeft(t, top+"/a")
}

// The owner of a directory on the way swaps it and links all the time: what root
// makes and gives away is never elsewhere.
func TestRacingLinksOnTheWay(t *testing.T) {
	uid, gid := ids(t)
	top := place(t)
	theirs := top + "/theirs"
	must(t, os.Mkdir(theirs, 0o755))
	must(t, os.Mkdir(theirs+"/d", 0o755))
	must(t, unix.Chmod(theirs, 0o755))
	must(t, os.Mkdir(top+"/outside", 0o755))
	must(t, os.Symlink("../outside", theirs+"/l"))
	for _, p := range []string{theirs, theirs + "/d", theirs + "/l"} {
		must(t, os.Lchown(p, int(uid), int(gid)))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, theirs+"/d", unix.AT_FDCWD, theirs+"/l", unix.RENAME_EXCHANGE)
			}
		}
	})
	made := 0
	for range 300 {
		created, err := Make(Request{Path: theirs + "/d/x/alice", UID: uid, GID: gid, Mode: 0o700, DirMode: 0o711})
		if created && err == nil {
			made++
		}
		if l, err := os.ReadDir(top + "/outside"); err != nil || len(l) != 0 {
			close(stop)
			t.Fatalf("outside: %v %v", l, err)
		}
		os.RemoveAll(theirs + "/d/x")
		os.RemoveAll(theirs + "/l/x")
	}
	close(stop)
	wg.Wait()
	if st := stat(t, top+"/outside"); st.Uid != 0 {
		t.Error("outside was given away")
	}
	if made == 0 {
		t.Error("never made: the race proves nothing")
	}
}
