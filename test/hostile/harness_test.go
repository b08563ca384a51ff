package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
	"sallyport/test/hostile/attack"
)

// Identities that nothing else on a machine has.
const (
	workerUID, workerGID = 61184, 61185
	userUID, userGID     = 61186, 61187
	extraGroup           = 61188
	nobody               = 65534
)

// programs is the directory with the hostile workers; rootlessEnv names it to
// the test process that has no root.
var programs string

const rootlessEnv = "SALLYPORT_HOSTILE_ROOTLESS"

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if dir := os.Getenv(rootlessEnv); dir != "" {
		programs = dir
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "hostile")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	for _, name := range []string{"session", "files"} {
		cmd := exec.Command("go", "build", "-tags", "hostile", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), "./"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build hostile %s: %v\n%s", name, err, out)
			return 1
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o711); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// asRootless runs a test once more in a process that is not root. It returns
// true where the caller is that process, or the whole run is rootless.
func asRootless(t *testing.T) bool {
	t.Helper()
	if unix.Geteuid() != 0 {
		return true
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := shared(t)
	program := filepath.Join(dir, "rootless.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), rootlessEnv+"="+programs, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("without root: %v\n%s", err, out)
	}
	return false
}

// shared is a temporary directory that everyone may enter.
func shared(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o711)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lair is what probes of one test share.
type lair struct {
	t       *testing.T
	starter *sandbox.Starter
	dir     int
	root    bool
	port    int
	log     *os.File
	empty   string
	sibling int
	tree    string // files: root and outside lie in it
}

func newLair(t *testing.T, root bool) *lair {
	t.Helper()
	l := &lair{t: t, root: root}
	var err error
	if l.starter, err = sandbox.NewStarter(sandbox.ForWorkers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.starter.Close)
	if l.dir, err = unix.Open(programs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(l.dir) })
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	l.port = listener.Addr().(*net.TCPAddr).Port
	dir := shared(t)
	if l.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.log.Close() })
	l.empty = filepath.Join(dir, "empty")
	if err := os.Mkdir(l.empty, 0o555); err != nil {
		t.Fatal(err)
	}
	l.makeTree(dir)
	return l
}

// makeTree is the user's root with what lies beside it. Everything outside is
// the user's own as well: only the walls keep it away.
func (l *lair) makeTree(dir string) {
	l.tree = dir
	root, outside := l.jail(), l.outside()
	for _, d := range []string{root, root + "/dir", outside} {
		must(l.t, os.Mkdir(d, 0o700))
	}
	for _, f := range []string{root + "/file", outside + "/secret", outside + "/writable", outside + "/victim"} {
		must(l.t, os.WriteFile(f, []byte("content of "+f), 0o600))
	}
	must(l.t, os.Symlink(outside+"/secret", root+"/abs"))
	must(l.t, os.Symlink("../outside/secret", root+"/up"))
	if l.root {
		must(l.t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasPrefix(p, root) && !strings.HasPrefix(p, outside) {
				return err
			}
			return os.Lchown(p, userUID, userGID)
		}))
	}
}

func (l *lair) jail() string    { return filepath.Join(l.tree, "root") }
func (l *lair) outside() string { return filepath.Join(l.tree, "outside") }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// probe is a hostile worker that waits for a word.
type probe struct {
	t     *testing.T
	child sandbox.Child
	talk  *os.File
	in    *bufio.Reader
}

// start starts a hostile worker that will try what it is told.
func (l *lair) start(name string, mode sandbox.Mode, what string) *probe {
	t := l.t
	t.Helper()
	var mine, theirs []int
	pair := func(kind int) {
		p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		mine, theirs = append(mine, p[0]), append(theirs, p[1])
	}
	channels := 2
	if name == "files" {
		channels = 3
	}
	for range channels {
		pair(unix.SOCK_SEQPACKET)
	}
	theirs = append(theirs, readOnlyMemory(t))
	sp := sandbox.Spec{
		Dir: l.dir, Name: name, Mode: mode, Env: sandbox.WorkerEnv(64), Stderr: int(l.log.Fd()), Identity: l.root,
		Args: []string{what, strconv.Itoa(l.sibling), strconv.Itoa(os.Getpid()), strconv.Itoa(l.port)},
	}
	if name == "session" {
		sp.UID, sp.GID, sp.Chroot = workerUID, workerGID, l.empty
		tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		upload, err := unix.Open(filepath.Join(l.tree, "upload"), unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		must(t, err)
		theirs = append(theirs, tcp, upload)
	} else {
		sp.UID, sp.GID, sp.Groups = userUID, userGID, []uint32{extraGroup}
		sp.Args = append(sp.Args, l.jail(), l.outside())
	}
	pair(unix.SOCK_STREAM)
	sp.Files = theirs
	c, err := l.starter.Start(sp)
	for _, fd := range theirs { // so that the end of the child is seen
		unix.Close(fd)
	}
	must(t, err)
	must(t, unix.SetNonblock(mine[len(mine)-1], true)) // for its deadline
	p := &probe{t: t, child: c, talk: os.NewFile(uintptr(mine[len(mine)-1]), "talk")}
	p.in = bufio.NewReader(p.talk)
	t.Cleanup(func() {
		for _, fd := range mine[:len(mine)-1] {
			unix.Close(fd)
		}
	})
	must(t, p.talk.SetReadDeadline(time.Now().Add(time.Minute)))
	if line, err := p.in.ReadString('\n'); line != "ready\n" {
		e, _ := c.Wait()
		log, _ := os.ReadFile(l.log.Name())
		t.Fatalf("hostile %s said %q, %v; %v\n%s", name, line, err, e, log)
	}
	return p
}

// readOnlyMemory is a memfd of one page, opened read-only.
func readOnlyMemory(t *testing.T) int {
	t.Helper()
	fd, err := unix.MemfdCreate("page", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Ftruncate(fd, 4096))
	must(t, unix.Fchmod(fd, 0o444))
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	return ro
}

// run lets the probe go and returns what it reported and how it ended.
func (p *probe) run() (map[string]string, sandbox.Exit) {
	p.t.Helper()
	_, err := p.talk.WriteString("go\n")
	must(p.t, err)
	got := make(map[string]string)
	for {
		line, err := p.in.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil { // a killed peer may reset
			break
		}
		name, result, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		got[name] = result
	}
	return got, p.end()
}

// end closes the probe's channel and waits for its end.
func (p *probe) end() sandbox.Exit {
	p.t.Helper()
	p.talk.Close()
	e, err := p.child.Wait()
	must(p.t, err)
	p.child.Close()
	return e
}

// idle starts a sibling for others to aim at.
func (l *lair) idle(name string) {
	l.t.Helper()
	p := l.start(name, sandbox.Enforce, "idle")
	l.sibling = p.child.PID
	l.t.Cleanup(func() {
		if e := p.end(); e.Signal != 0 || e.Code != 0 {
			l.t.Errorf("the sibling of the hostile %s came to harm: %v", name, e)
		}
	})
}

func attempts(name string) []attack.Attempt {
	if name == "files" {
		return slices.Concat(attack.Files, attack.Everyone, attack.Arch)
	}
	return slices.Concat(attack.Session, attack.Everyone, attack.Arch)
}
