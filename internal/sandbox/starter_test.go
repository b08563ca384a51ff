package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the child that starters start.
func TestMain(m *testing.M) {
	if os.Args[0] == "child" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child tells on descriptor 3 what it got, and waits until it is closed.
func child() {
	if err := unix.Chdir("/"); err != nil {
		panic(err)
	}
	if os.Getenv("HELLO") != "" {
		fmt.Fprintf(os.Stderr, "hello from the child\n")
	}
	mask := unix.Umask(0)
	text := fmt.Sprintf("args %q\nenv %q\numask %o\n", os.Args, os.Environ(), mask)
	if _, err := unix.Write(3, []byte(text)); err != nil {
		panic(err)
	}
	_, _ = unix.Read(3, make([]byte, 1))
}

// libexec makes a directory that holds the test binary as "child".
func libexec(t *testing.T) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "child"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

type started struct {
	Child
	channel *os.File
	said    string
}

// startChild starts a child, reads what it says and ends it with the test.
func startChild(t *testing.T, s *Starter, sp Spec) *started {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	sp.Name, sp.Mode, sp.Files = "child", Enforce, []int{pair[1]}
	c, err := s.Start(sp)
	unix.Close(pair[1])
	if err != nil {
		unix.Close(pair[0])
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(pair[0]), "channel")
	t.Cleanup(func() {
		f.Close()
		e, err := c.Wait()
		c.Close()
		if err != nil || e.Code != 0 || e.Signal != 0 {
			t.Errorf("child: %v %v", e, err)
		}
	})
	var said []byte
	buf := make([]byte, 8192)
	for bytes.Count(said, []byte("\n")) < 3 {
		n, err := f.Read(buf)
		if err != nil {
			t.Fatalf("child said %q, then %v", said, err)
		}
		said = append(said, buf[:n]...)
	}
	return &started{c, f, string(said)}
}

// status reads fields of /proc/PID/status of each thread, which must agree.
func status(t *testing.T, pid int, fields ...string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("threads of %d: %v %v", pid, files, err)
	}
	got := make(map[string]string)
	for i, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(line, ":")
			value = strings.Join(strings.Fields(value), " ")
			if !slices.Contains(fields, key) {
				continue
			}
			if i > 0 && got[key] != value {
				t.Errorf("threads of %d disagree about %s: %q, %q", pid, key, got[key], value)
			}
			got[key] = value
		}
	}
	return got
}

func needRoot(t *testing.T) {
	t.Helper()
	if unix.Geteuid() != 0 {
		t.Skip("changing identity needs root; the rootless tests cover the rest")
	}
}

func newStarter(t *testing.T, k Kind) *Starter {
	t.Helper()
	s, err := NewStarter(k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func hex(c CapSet) string { return fmt.Sprintf("%016x", uint64(c)) }

func TestChildrenHoldExactlyWhatTheirKindMay(t *testing.T) {
	needRoot(t)
	dir := libexec(t)
	have := BoundingSet()
	for _, c := range []struct {
		kind Kind
		spec Spec
		uid  string
		nnp  string
		caps CapSet
	}{
		{ForWorkers, Spec{UID: 54321, GID: 54322, Groups: []uint32{54323, 54324}}, "54321 54321 54321 54321", "1", 0},
		{ForAuthd, Spec{}, "0 0 0 0", "1", Caps(unix.CAP_DAC_READ_SEARCH)},
		{ForPam, Spec{}, "0 0 0 0", "0", ForPam.Bounding() & have},
	} {
		t.Run(kinds[c.kind].name, func(t *testing.T) {
			s := newStarter(t, c.kind)
			c.spec.Dir, c.spec.Identity = dir, true
			child := startChild(t, s, c.spec)
			got := status(t, child.PID, "Uid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
			want := map[string]string{
				"Uid": c.uid, "NoNewPrivs": c.nnp, "CapInh": hex(0), "CapAmb": hex(0),
				"CapPrm": hex(c.caps), "CapEff": hex(c.caps), "CapBnd": hex(c.caps),
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("status (-want +got):\n%s", d)
			}
		})
	}
}

func TestGroupsAreExactlyThoseGiven(t *testing.T) {
	needRoot(t)
	dir, s := libexec(t), newStarter(t, ForWorkers)
	for _, groups := range [][]uint32{nil, {54323}, {54324, 54325}} {
		child := startChild(t, s, Spec{Dir: dir, Identity: true, UID: 54321, GID: 54322, Groups: groups})
		got := status(t, child.PID, "Groups", "Gid")
		want := strings.Trim(strings.ReplaceAll(fmt.Sprint(groups), "[", ""), "[]")
		if got["Groups"] != want || got["Gid"] != "54322 54322 54322 54322" {
			t.Errorf("groups %v: %v", groups, got)
		}
	}
}

func TestChildSeesTheContract(t *testing.T) {
	s := newStarter(t, ForWorkers)
	dir := libexec(t)
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	child := startChild(t, s, Spec{Dir: dir, Args: []string{"role"}, Env: WorkerEnv(64)})
	own, err := ownIdentity()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("args %q\nenv %q\numask 77\n", []string{"child", "enforce", "rootless", "role"}, append(WorkerEnv(64), IdentityEnv+"="+own))
	if d := cmp.Diff(want, child.said); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	sid, err := unix.Getsid(child.PID)
	if err != nil || sid != child.PID {
		t.Errorf("session id %d of process %d: %v", sid, child.PID, err)
	}
	if in, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", child.PID)); err != nil || in != "/dev/null" {
		t.Errorf("stdin is %q, %v", in, err)
	}
	for fd := range 10 {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", child.PID, fd))
		if there := err == nil; there != (fd <= 3) {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
	if now, err := os.Getwd(); err != nil || now != cwd {
		t.Errorf("master's working directory is now %q, %v", now, err)
	}
}

// TestChildIsExecutedFromOutsideOfItsChroot needs a static binary.
func TestChildIsExecutedFromOutsideOfItsChroot(t *testing.T) {
	needRoot(t)
	if raceEnabled {
		t.Skip("a race binary needs a dynamic loader, which the empty chroot has not; the plain run covers it")
	}
	empty := t.TempDir()
	if err := os.Chmod(empty, 0o555); err != nil {
		t.Fatal(err)
	}
	child := startChild(t, newStarter(t, ForWorkers), Spec{Dir: libexec(t), Identity: true, UID: 54321, GID: 54321, Chroot: empty})
	for _, link := range []string{"root", "cwd"} {
		if got, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", child.PID, link)); err != nil || got != empty {
			t.Errorf("%s is %q, %v", link, got, err)
		}
	}
}

// TestStarterLeavesMasterAlone: what it gives up, it gives up for its thread.
func TestStarterLeavesMasterAlone(t *testing.T) {
	needRoot(t)
	before := BoundingSet()
	newStarter(t, ForWorkers)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if got := BoundingSet(); got != before {
		t.Errorf("bounding set %s, was %s", hex(got), hex(before))
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	confined := 0
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err == nil && bytes.Contains(b, []byte("CapBnd:\t"+hex(0))) {
			confined++
			if strings.Contains(task, "/"+strconv.Itoa(os.Getpid())+"/status") {
				t.Error("the main thread is the starter's")
			}
		}
	}
	if confined == 0 {
		t.Error("no thread has an empty bounding set")
	}
}

// TestStandardErrorCannotBeReadOrChanged: a child gets a descriptor of its own
// for appending.
func TestStandardErrorCannotBeReadOrChanged(t *testing.T) {
	log, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("the administrator's line\n"); err != nil {
		t.Fatal(err)
	}
	child := startChild(t, newStarter(t, ForWorkers), Spec{Dir: libexec(t), Stderr: int(log.Fd()), Env: []string{"HELLO=1"}})
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/2", child.PID))
	if err != nil {
		t.Fatal(err)
	}
	var flags int
	for line := range strings.Lines(string(info)) {
		if v, ok := strings.CutPrefix(line, "flags:"); ok {
			if _, err := fmt.Sscanf(v, "%o", &flags); err != nil {
				t.Fatal(err)
			}
		}
	}
	if flags&unix.O_ACCMODE != unix.O_WRONLY || flags&unix.O_APPEND == 0 || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags of the child's stderr: %o", flags)
	}
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(log); err != nil || string(b) != "the administrator's line\nhello from the child\n" {
		t.Errorf("log is %q, %v", b, err)
	}
}

func TestStartRefuses(t *testing.T) {
	s := newStarter(t, ForWorkers)
	dir := libexec(t)
	for name, sp := range map[string]Spec{
		"no such program":        {Dir: dir, Name: "absent", Mode: Enforce},
		"path":                   {Dir: dir, Name: "./child", Mode: Enforce},
		"no name":                {Dir: dir, Mode: Enforce},
		"mode":                   {Dir: dir, Name: "child"},
		"directory":              {Dir: -1, Name: "child", Mode: Enforce},
		"descriptor":             {Dir: dir, Name: "child", Mode: Enforce, Files: []int{999}},
		"relative chroot":        {Dir: dir, Name: "child", Mode: Enforce, Identity: true, UID: 5, GID: 5, Chroot: "empty"},
		"uid 0":                  {Dir: dir, Name: "child", Mode: Enforce, Identity: true, GID: 5},
		"gid 0":                  {Dir: dir, Name: "child", Mode: Enforce, Identity: true, UID: 5},
		"uid -1, i.e. no change": {Dir: dir, Name: "child", Mode: Enforce, Identity: true, UID: ^uint32(0), GID: 5},
	} {
		c, err := s.Start(sp)
		if err == nil {
			t.Errorf("%s: started process %d", name, c.PID)
		} else if !strings.HasPrefix(err.Error(), "start "+sp.Name+": ") {
			t.Errorf("%s: error %q does not name the program", name, err)
		}
	}
}

func TestStartersWorkInParallel(t *testing.T) {
	dir := libexec(t)
	const n = 3
	type result struct {
		c   Child
		err error
	}
	results := make(chan result, 2*n)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		s := newStarter(t, ForWorkers)
		for range 2 {
			sp := Spec{Dir: dir, Name: "child", Mode: Enforce, Files: []int{pair[1]}}
			if err := s.StartAsync(sp, func(c Child, err error) { results <- result{c, err} }); err != nil {
				t.Fatal(err)
			}
		}
	}
	pids := make(map[int]bool)
	for range 2 * n {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		pids[r.c.PID] = true
		if err := r.c.Signal(unix.SIGKILL); err != nil {
			t.Error(err)
		}
		if e, err := r.c.Wait(); err != nil || e.Signal != unix.SIGKILL {
			t.Errorf("%v %v", e, err)
		}
		r.c.Close()
	}
	if len(pids) != 2*n {
		t.Errorf("processes %v", pids)
	}
	unix.Close(pair[0])
	unix.Close(pair[1])
}

func TestQueueOfAStarterIsBounded(t *testing.T) {
	s := newStarter(t, ForWorkers)
	dir := libexec(t)
	hold, held := make(chan struct{}), make(chan struct{})
	sp := Spec{Dir: dir, Name: "absent", Mode: Enforce}
	if err := s.StartAsync(sp, func(Child, error) { close(held); <-hold }); err != nil {
		t.Fatal(err)
	}
	<-held
	var done int
	for range queueLength {
		if err := s.StartAsync(sp, func(Child, error) { done++ }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.StartAsync(sp, func(Child, error) { done++ }); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	close(hold)
	for { // the queue is served in order: when this one is done, all are
		last := make(chan struct{})
		err := s.StartAsync(sp, func(Child, error) { close(last) })
		if errors.Is(err, ErrBusy) {
			runtime.Gosched()
			continue
		}
		<-last
		break
	}
	if done != queueLength {
		t.Errorf("%d of %d starts were answered", done, queueLength)
	}
	s.Close()
	s.Close()
	if err := s.StartAsync(sp, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSelfTestFindsWhatThisKernelHas(t *testing.T) {
	r := SelfTest()
	if err := r.Err(Enforce); err != nil {
		t.Error(err)
	}
	for _, line := range r.Missing() {
		t.Log(line)
	}
	f := Finding{Name: "landlock", Detail: "why", Means: "what"}
	if got := f.String(); got != "landlock: missing (why): what" {
		t.Errorf("%q", got)
	}
	bad := Report{Kernel: "5.4", Findings: []Finding{{Name: "openat2", Need: true, Detail: "why", Means: "what"}}}
	if err := bad.Err(Enforce); err == nil || err.Error() != "kernel 5.4: openat2: missing (why): what" {
		t.Errorf("%v", err)
	}
	if err := bad.Err(Off); err != nil {
		t.Error(err)
	}
}
