package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
)

// childRole is what the test binary takes itself for when a starter runs it.
var childRole = Role{Name: "child", FDs: 2, Args: 1}

func TestMain(m *testing.M) {
	if os.Args[0] == "child" || os.Args[0] == "impostor" {
		w := Begin(childRole)
		_, err := unix.FcntlInt(5, unix.F_GETFD, 0)
		cloexec, _ := unix.FcntlInt(4, unix.F_GETFD, 0)
		cwd, _ := os.Getwd()
		fmt.Printf("mode %s rootless %v args %q fds %d %d fifth %v cloexec %d cwd %s\n",
			w.Mode, w.Rootless, w.Args, w.FD(0), w.FD(1), err, cloexec, cwd)
		w.Confine()
		if w.Args[0] == "fault" {
			w.End(fmt.Errorf("the loop broke"))
		}
		w.End(nil)
	}
	os.Exit(m.Run())
}

func starter(t *testing.T, k sandbox.Kind) *sandbox.Starter {
	t.Helper()
	s, err := sandbox.NewStarter(k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// born starts the test binary as a worker and returns what it said and how it
// ended.
func born(t *testing.T, s *sandbox.Starter, change func(*sandbox.Spec)) (string, sandbox.Exit) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o711)
	}
	for _, name := range []string{"child", "impostor"} {
		if err := os.WriteFile(filepath.Join(dir, name), self, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	libexec, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(libexec)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	sp := sandbox.Spec{
		Dir: libexec, Name: "child", Mode: sandbox.Log, Args: []string{"role"}, Env: sandbox.WorkerEnv(0),
		Files: []int{pair[0], pair[1]}, Stderr: int(log.Fd()),
		Identity: unix.Geteuid() == 0, UID: 54321, GID: 54322, Groups: []uint32{54323},
	}
	change(&sp)
	c, err := s.Start(sp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e, err := c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b), e
}

func TestWorkerFindsItselfAsMeant(t *testing.T) {
	s := starter(t, sandbox.ForWorkers)
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	said, e := born(t, s, func(sp *sandbox.Spec) { sp.Files = append(sp.Files, null, null) })
	want := fmt.Sprintf("mode log rootless %v args [\"role\"] fds 3 4 fifth bad file descriptor cloexec 1 cwd /\n", unix.Geteuid() != 0)
	if said != want || e != (sandbox.Exit{}) {
		t.Errorf("%q, %v; want %q", said, e, want)
	}
}

func TestWorkerSaysWhyItsLoopEnded(t *testing.T) {
	said, e := born(t, starter(t, sandbox.ForWorkers), func(sp *sandbox.Spec) { sp.Args = []string{"fault"} })
	if !strings.HasSuffix(said, "\nchild: the loop broke\n") || e.Code != ExitFault {
		t.Errorf("%q, %v", said, e)
	}
}

func TestWorkerRefusesWhatWasNotMeant(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   sandbox.Kind
		root   bool // the case needs root
		change func(*sandbox.Spec)
		status int
		says   string
	}{
		{"no role arguments", sandbox.ForWorkers, false, func(sp *sandbox.Spec) { sp.Args = nil }, ExitSetup, "another version"},
		{"too many arguments", sandbox.ForWorkers, false, func(sp *sandbox.Spec) { sp.Args = []string{"a", "b"} }, ExitSetup, "another version"},
		{"another program", sandbox.ForWorkers, false, func(sp *sandbox.Spec) { sp.Name = "impostor" }, ExitSetup, "another version"},
		{"a descriptor is missing", sandbox.ForWorkers, false, func(sp *sandbox.Spec) { sp.Files = sp.Files[:1] }, ExitSetup, "descriptor 4: bad file descriptor"},
		{"no channel", sandbox.ForWorkers, false, func(sp *sandbox.Spec) { sp.Files = nil }, ExitUsage, "started by sallyport"},
		{"another identity", sandbox.ForWorkers, false, func(sp *sandbox.Spec) { sp.Env = append(sp.Env, sandbox.IdentityEnv+"=1:2:3") }, ExitSetup, "1:2:3 was meant"},
		{"rootless as root", sandbox.ForWorkers, true, func(sp *sandbox.Spec) { sp.Identity = false }, ExitSetup, "rootless, but uid is 0"},
		{"root", sandbox.ForWorkers, true, func(sp *sandbox.Spec) { sp.UID, sp.RootLogin = 0, true }, ExitSetup, "uid 0 is not this program's"},
		{"with a bounding set", sandbox.ForAuthd, true, func(*sandbox.Spec) {}, ExitSetup, "the bounding set holds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && unix.Geteuid() != 0 {
				t.Skip("changing identity needs root")
			}
			said, e := born(t, starter(t, c.kind), c.change)
			if e.Code != c.status || !strings.Contains(said, c.says) {
				t.Errorf("%q, %v; want status %d and %q", said, e, c.status, c.says)
			}
		})
	}
}

// TestNoNewPrivsIsInsistedOn: a worker that has lost it does not run, whatever
// else is right.
func TestNoNewPrivsIsInsistedOn(t *testing.T) {
	on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil || on != 0 {
		t.Skipf("this process has no_new_privs itself (%d, %v)", on, err)
	}
	own, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(sandbox.IdentityEnv, own)
	all := ^sandbox.CapSet(0)
	w := &Worker{Role: Role{Root: unix.Getuid() == 0, Caps: all}, Rootless: unix.Getuid() != 0}
	if err := w.checkIdentity(); err == nil || err.Error() != "no_new_privs is not set" {
		t.Errorf("%v", err)
	}
	w.Role.NewPriv = true
	if err := w.checkIdentity(); err != nil {
		t.Error(err)
	}
}

func TestDescriptorsOutOfRangeAreAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	(&Worker{Role: Session}).FD(3)
}
