package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
	"sallyport/ipc"
)

// libexec is a directory with the real program, built once.
var libexec string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	top, err := os.MkdirTemp("", "sallyport-owner")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(top)
	libexec = top
	build := exec.Command("go", "build", "-o", filepath.Join(top, "owner"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", out)
		return 1
	}
	return m.Run()
}

// start starts the program as master does.
func start(t *testing.T) (*ipc.Conn, sandbox.Child) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: homes are given away")
	}
	starter, err := sandbox.NewStarter(sandbox.ForOwner)
	if err != nil {
		t.Fatal(err)
	}
	defer starter.Close()
	dir, err := unix.Open(libexec, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(theirs)
	c, err := starter.Start(sandbox.Spec{
		Dir: dir, Name: "owner", Mode: sandbox.Enforce, Env: sandbox.WorkerEnv(64), Files: []int{theirs}, Identity: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	conn := ipc.New(ours, ipc.MasterOwner, ipc.Master)
	if err := conn.SetTimeout(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); c.Close() })
	return conn, c
}

func ended(t *testing.T, c sandbox.Child, code int) {
	t.Helper()
	if e, err := c.Wait(); err != nil || e.Code != code || e.Signal != 0 {
		t.Errorf("owner ended with %v, %v", e, err)
	}
}

const testUID, testGID = 54321, 54322

// The whole life under the sandbox as it is in earnest, with the two
// capabilities that it keeps.
func TestMakesOneHome(t *testing.T) {
	conn, c := start(t)
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{top + "/skel/d", top + "/theirs"} {
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(top+"/skel/d/f", []byte("f"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("d/f", top+"/skel/l"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(top+"/theirs", testUID, testGID); err != nil { // where root has no right of its own
		t.Fatal(err)
	}
	if err := unix.Chmod(top+"/theirs", 0o500); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapBnd:\t0000000000000003", "CapEff:\t0000000000000003", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in %s", want, status)
		}
	}
	home := top + "/theirs/sub/alice"
	r, _, err := ipc.Call[ipc.HomeMade](conn, ipc.MakeHome{Path: home, UID: testUID, GID: testGID, Mode: 0o750, DirMode: 0o711, Skeleton: top + "/skel"})
	if err != nil || !r.Created || r.Error != "" {
		t.Fatalf("%+v %v", r, err)
	}
	ended(t, c, 0)
	for path, mode := range map[string]uint32{"": unix.S_IFDIR | 0o750, "/d": unix.S_IFDIR | 0o755, "/d/f": unix.S_IFREG | 0o644, "/l": unix.S_IFLNK | 0o777} {
		var st unix.Stat_t
		if err := unix.Lstat(home+path, &st); err != nil || st.Mode != mode || st.Uid != testUID || st.Gid != testGID {
			t.Errorf("%s: %o %d:%d %v", path, st.Mode, st.Uid, st.Gid, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(top+"/theirs/sub", &st); err != nil || st.Uid != 0 || st.Mode != unix.S_IFDIR|0o711 {
		t.Errorf("above it: %o %d %v", st.Mode, st.Uid, err)
	}

	conn, c = start(t)
	r, _, err = ipc.Call[ipc.HomeMade](conn, ipc.MakeHome{Path: home, UID: testUID, GID: testGID, Mode: 0o700})
	if err != nil || r.Created || r.Error != "" {
		t.Errorf("again: %+v %v", r, err)
	}
	ended(t, c, 0)
}

func TestSaysWhyNot(t *testing.T) {
	top := t.TempDir()
	for _, x := range []struct {
		order ipc.MakeHome
		why   string
	}{
		{ipc.MakeHome{Path: top + "/root", UID: 0, GID: 0, Mode: 0o700}, "uid 0"},
		{ipc.MakeHome{Path: "relative", UID: testUID, GID: testGID}, "not an absolute path"},
		{ipc.MakeHome{Path: top + "/a/" + strings.Repeat("n", 300), UID: testUID, GID: testGID, DirMode: 0o711}, "file name too long"},
		{ipc.MakeHome{Path: "/proc/home", UID: testUID, GID: testGID, DirMode: 0o711}, "home \"/proc/home\""},
		{ipc.MakeHome{Path: top + "/half", UID: testUID, GID: testGID, Mode: 0o700, Skeleton: top + "/none"}, "no such file"},
	} {
		conn, c := start(t)
		r, _, err := ipc.Call[ipc.HomeMade](conn, x.order)
		if err != nil || r.Created || !strings.Contains(r.Error, x.why) {
			t.Errorf("%+v: %+v %v", x.order, r, err)
		}
		ended(t, c, 0)
	}
	if l, err := os.ReadDir(top); err != nil || len(l) != 1 || l[0].Name() != "a" { // the directory above the long name
		t.Errorf("left behind: %v %v", l, err)
	}
}

func TestLeavesWithoutAnOrder(t *testing.T) {
	conn, c := start(t)
	conn.Close()
	ended(t, c, 70)
	conn, c = start(t)
	if _, err := unix.SendmsgN(conn.FD(), []byte{0x93, 1, 2, 0x90}, nil, nil, unix.MSG_NOSIGNAL); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	ended(t, c, 70)
}
