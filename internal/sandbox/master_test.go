package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// alone runs a test again in a process of its own, because what it does to the
// process cannot be undone. It returns true in that process.
func alone(t *testing.T, cred *syscall.Credential) bool {
	t.Helper()
	if raceEnabled {
		t.Skip("system calls on all threads need a binary without cgo; the plain run covers it")
	}
	if os.Getenv("SANDBOX_ALONE") == t.Name() {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if cred != nil { // where that identity may execute it
		program = fmt.Sprintf("/proc/self/fd/%d/child", libexec(t))
	}
	cmd := exec.Command(program, "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	cmd.Env = append(os.Environ(), "SANDBOX_ALONE="+t.Name(), "GODEBUG=containermaxprocs=0,updatemaxprocs=0")
	cmd.Dir = os.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestMasterIsTrimmedAndStillStartsChildren(t *testing.T) {
	needRoot(t)
	if !alone(t, nil) {
		return
	}
	have := BoundingSet()
	workers, authd, pam := newStarter(t, ForWorkers), newStarter(t, ForAuthd), newStarter(t, ForPam)
	dir := libexec(t)
	if masterFiltered() {
		t.Error("the filter is there before it was installed")
	}
	if err := Master(Enforce); err != nil {
		t.Fatal(err)
	}
	if !masterFiltered() {
		t.Error("the filter cannot be seen")
	}
	if err := TrimMaster(); err != nil {
		t.Fatal(err)
	}
	want := hex(masterKeeps & have)
	got := status(t, os.Getpid(), "CapPrm", "CapEff", "Seccomp")
	if got["CapPrm"] != want || got["CapEff"] != want || got["Seccomp"] != "2" {
		t.Errorf("master: %v, want %s", got, want)
	}
	if got := BoundingSet(); got&^masterKeeps != 0 {
		t.Errorf("master's bounding set is %s", hex(got))
	}
	if _, _, errno := unix.Syscall(unix.SYS_MOUNT, 0, 0, 0); errno != unix.EPERM {
		t.Errorf("mount: %v", errno)
	}
	for _, c := range []struct {
		s    *Starter
		sp   Spec
		caps CapSet
		nnp  string
	}{
		{workers, Spec{UID: 54321, GID: 54321, Chroot: "/"}, 0, "1"},
		{authd, Spec{}, ForAuthd.Bounding(), "1"},
		{pam, Spec{}, ForPam.Bounding() & have, "0"},
	} {
		c.sp.Dir, c.sp.Identity = dir, true
		child := startChild(t, c.s, c.sp)
		got := status(t, child.PID, "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")
		if got["CapPrm"] != hex(c.caps) || got["CapBnd"] != hex(c.caps) || got["NoNewPrivs"] != c.nnp || got["Seccomp"] != "2" {
			t.Errorf("child of %s: %v, want capabilities %s", c.s.kind.name, got, hex(c.caps))
		}
	}
	// A second master, after an upgrade, finds the filter and makes starters.
	if err := Master(Enforce); err != nil {
		t.Error(err)
	}
	newStarter(t, ForWorkers)
}

func TestMasterWithoutRootSetsNoNewPrivs(t *testing.T) {
	var cred *syscall.Credential
	if unix.Geteuid() == 0 {
		cred = &syscall.Credential{Uid: 54321, Gid: 54321}
	}
	if !alone(t, cred) {
		return
	}
	s := newStarter(t, ForWorkers)
	if err := Master(Enforce); err != nil {
		t.Fatal(err)
	}
	if err := TrimMaster(); err != nil {
		t.Error(err)
	}
	got := status(t, os.Getpid(), "NoNewPrivs", "Seccomp")
	if got["NoNewPrivs"] != "1" || got["Seccomp"] != "2" {
		t.Errorf("%v", got)
	}
	if _, err := s.Start(Spec{Dir: 0, Name: "absent", Mode: Enforce}); err == nil || errors.Is(err, ErrClosed) {
		t.Errorf("start: %v", err)
	}
}
