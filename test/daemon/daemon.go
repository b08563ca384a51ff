// Package daemon starts a real sallyport for tests: bin/sallyport with its
// workers, in a temporary directory, on loopback, with users of its own. Every
// end-to-end test uses it, so that all of them see the same product.
package daemon

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"sallyport/internal/control"
)

// User is an account of the users file. Home is made, owned by UID.
type User struct {
	Name, Password string
	UID            int
	Home           string
}

// Options say how the daemon is to be started. The zero value is right for most.
type Options struct {
	Users    []User // default: alice and bob, uids of their own where that is possible
	Config   string // HCL that follows the common part
	Auth     string // HCL instead of the auth block for the users file
	Root     string // HCL instead of `root "~" {}`
	Listen   []string
	Rootless bool // as root: run as nobody all the same
	Env      []string
	Within   []string // a command that runs the daemon, such as ip netns exec NAME
}

// Daemon is a running server.
type Daemon struct {
	TB     testing.TB
	Dir    string
	Config string // path of the configuration file
	Addr   string // first listener, host:port
	Port   string
	Socket string // control socket
	PID    int
	Users  map[string]User
	Ready  string // the ready line

	cmd  *exec.Cmd
	log  logBuffer
	done chan struct{}
	err  error
}

// Repo is the root of the checkout, for tests two folders below it.
func Repo(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	tb.Fatal("no go.mod above the test")
	return ""
}

// Bin returns the path of a built program.
func Bin(tb testing.TB, name string) string {
	tb.Helper()
	p := filepath.Join(Repo(tb), "bin", name)
	if _, err := os.Stat(p); err != nil {
		tb.Fatalf("%s: run `make build` first", p)
	}
	return p
}

const nobody = 65534

// Write makes directory, accounts and configuration without starting anything.
func Write(tb testing.TB, o Options) *Daemon {
	tb.Helper()
	dir, err := os.MkdirTemp("", "sallyport-test.")
	if err != nil {
		tb.Fatal(err)
	}
	instance := "test-" + filepath.Base(dir)[15:]
	tb.Cleanup(func() { // a daemon that was killed leaves its shared memory
		os.RemoveAll(dir)
		left, _ := filepath.Glob("/dev/shm/sallyport." + instance + ".*")
		for _, p := range left {
			os.Remove(p)
		}
	})
	d := &Daemon{TB: tb, Dir: dir, Users: map[string]User{}, done: make(chan struct{})}
	d.Config = filepath.Join(dir, "sallyport.hcl")
	d.Socket = filepath.Join(dir, "run", "control.sock")
	must(tb, os.Chmod(dir, 0o755))
	must(tb, os.Mkdir(filepath.Join(dir, "run"), 0o755))
	must(tb, os.Mkdir(filepath.Join(dir, "state"), 0o755))
	root := os.Geteuid() == 0 && !o.Rootless
	own := os.Geteuid()
	if o.Rootless && os.Geteuid() == 0 {
		own = nobody
		must(tb, os.Chown(dir, own, own))
		must(tb, os.Chown(filepath.Join(dir, "run"), own, own))
		must(tb, os.Chown(filepath.Join(dir, "state"), own, own))
	}
	if o.Users == nil {
		o.Users = []User{{Name: "alice", Password: "wonder land", UID: 49001}, {Name: "bob", Password: "builder", UID: 49002}}
	}
	var users bytes.Buffer
	for _, u := range o.Users {
		if !root {
			u.UID = own
		}
		if u.Home == "" {
			u.Home = filepath.Join(dir, "home", u.Name)
			must(tb, os.MkdirAll(u.Home, 0o755))
			must(tb, os.Chmod(u.Home, 0o700))
			if os.Geteuid() == 0 {
				must(tb, os.Chown(u.Home, u.UID, u.UID))
			}
		}
		gid := u.UID
		if !root && os.Geteuid() != 0 {
			gid = os.Getegid()
		}
		d.Users[u.Name] = u
		fmt.Fprintf(&users, "%s:%s:%d:%d::%s:/bin/sh\n", u.Name, cheapHash(tb, u.Password), u.UID, gid, u.Home)
	}
	must(tb, os.WriteFile(filepath.Join(dir, "users"), users.Bytes(), 0o600))
	if os.Geteuid() == 0 {
		must(tb, os.Chown(filepath.Join(dir, "users"), own, own))
	}
	if o.Listen == nil {
		o.Listen = []string{"127.0.0.1:0"}
	}
	if o.Auth == "" {
		o.Auth = fmt.Sprintf("auth {\n  order = [\"file\"]\n  file {\n    users = %q\n  }\n}\n", filepath.Join(dir, "users"))
	}
	if o.Root == "" {
		o.Root = "root \"~\" {}\n"
	}
	user := "nobody"
	if os.Geteuid() != 0 {
		user = "" // rootless has one uid
	}
	var hcl strings.Builder
	fmt.Fprintf(&hcl, "instance  = %q\nrun_dir   = %q\nstate_dir = %q\n", instance, filepath.Join(dir, "run"), filepath.Join(dir, "state"))
	if user != "" {
		fmt.Fprintf(&hcl, "user      = %q\n", user)
	}
	fmt.Fprintf(&hcl, "listener \"ftp\" {\n  address = [%s]\n}\n", quoted(o.Listen))
	hcl.WriteString(o.Auth + o.Root + o.Config)
	must(tb, os.WriteFile(d.Config, []byte(hcl.String()), 0o644))
	return d
}

// Start writes and runs a daemon and waits for its ready line. The test's end
// stops it and fails the test if it did not stop cleanly.
func Start(tb testing.TB, o Options) *Daemon {
	tb.Helper()
	d := Write(tb, o)
	d.Run(o)
	return d
}

// Run starts the daemon that Write prepared.
func (d *Daemon) Run(o Options) {
	tb := d.TB
	tb.Helper()
	argv := append(append([]string(nil), o.Within...), Bin(tb, "sallyport"), "--config", d.Config)
	d.cmd = exec.Command(argv[0], argv[1:]...)
	d.cmd.Env = append(os.Environ(), o.Env...)
	d.cmd.Stderr = &d.log
	if o.Rootless && os.Geteuid() == 0 {
		d.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{}}}
	}
	out, err := d.cmd.StdoutPipe()
	must(tb, err)
	must(tb, d.cmd.Start())
	d.PID = d.cmd.Process.Pid
	ready := make(chan string, 1)
	done := d.done
	go func() {
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if strings.HasPrefix(line, "sallyport: ready ") {
				ready <- strings.TrimSpace(line)
			}
			if err != nil {
				break
			}
		}
		_, _ = io.Copy(io.Discard, r)
		d.err = d.cmd.Wait()
		close(done)
	}()
	select {
	case d.Ready = <-ready:
	case <-d.done:
		tb.Fatalf("the daemon did not start: %v\n%s", d.err, d.Log())
	case <-time.After(20 * time.Second):
		_ = d.cmd.Process.Kill()
		tb.Fatalf("no ready line in 20 s\n%s", d.Log())
	}
	for f := range strings.FieldsSeq(d.Ready) {
		if a, ok := strings.CutPrefix(f, "ftp="); ok && d.Addr == "" {
			d.Addr, _, _ = strings.Cut(a, ",")
			d.Port = d.Addr[strings.LastIndexByte(d.Addr, ':')+1:]
		}
	}
	tb.Cleanup(func() {
		d.Stop()
		if tb.Failed() {
			tb.Logf("the daemon's log:\n%s", d.Log())
		}
	})
}

// Again runs a daemon that has ended, killed or not, once more.
func (d *Daemon) Again(o Options) {
	d.TB.Helper()
	select {
	case <-d.done:
	case <-time.After(20 * time.Second):
		d.TB.Fatal("the daemon is still there after 20 s")
	}
	d.done, d.Addr = make(chan struct{}), ""
	d.Run(o)
}

// Stop ends the daemon with SIGTERM and reports an unclean end as a failure.
func (d *Daemon) Stop() {
	select {
	case <-d.done:
		return
	default:
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
		if d.err != nil {
			d.TB.Errorf("the daemon ended with %v", d.err)
		}
	case <-time.After(40 * time.Second):
		_ = d.cmd.Process.Signal(syscall.SIGQUIT)
		<-d.done
		d.TB.Errorf("the daemon did not stop in 40 s")
	}
}

// Signal sends a signal to master.
func (d *Daemon) Signal(s syscall.Signal) { must(d.TB, d.cmd.Process.Signal(s)) }

// Done is closed when master has ended; Err is then how.
func (d *Daemon) Done() <-chan struct{} { return d.done }

// Err returns how master ended, after Done.
func (d *Daemon) Err() error { return d.err }

// Log returns what the daemon wrote to stderr so far.
func (d *Daemon) Log() string { return d.log.String() }

// WaitLog waits until the log holds text.
func (d *Daemon) WaitLog(text string) {
	d.TB.Helper()
	Until(d.TB, "the log to say "+strconv.Quote(text), func() bool { return strings.Contains(d.Log(), text) })
}

// Until polls a condition that another process brings about, for at most 20 s.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	end := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			tb.Fatalf("waited 20 s for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Ctl runs ftpdctl against the daemon and returns its combined output.
func (d *Daemon) Ctl(args ...string) (string, error) {
	out, err := exec.Command(Bin(d.TB, "ftpdctl"), append([]string{"--socket", d.Socket}, args...)...).CombinedOutput()
	return string(out), err
}

// Home returns a user's directory, joined with names below it.
func (d *Daemon) Home(user string, names ...string) string {
	return filepath.Join(append([]string{d.Users[user].Home}, names...)...)
}

// Put writes a file into a user's home, as that user.
func (d *Daemon) Put(user, name string, data []byte) string {
	d.TB.Helper()
	p := d.Home(user, name)
	must(d.TB, os.WriteFile(p, data, 0o644))
	if os.Geteuid() == 0 {
		must(d.TB, os.Chown(p, d.Users[user].UID, d.Users[user].UID))
	}
	return p
}

// Children returns the pids of master's children with a role: "session",
// "files", "authd", "hash" (authd's workers) or "pam".
func (d *Daemon) Children(role string) []int {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.PID))
	var pids []int
	for _, p := range paths {
		b, _ := os.ReadFile(p)
		for f := range strings.FieldsSeq(string(b)) {
			line, _ := os.ReadFile("/proc/" + f + "/cmdline")
			args := strings.Split(string(line), "\x00")
			name := filepath.Base(args[0])
			if name == "authd" && len(args) > 3 && args[3] == "hash" {
				name = "hash"
			}
			if name == role {
				pid, _ := strconv.Atoi(f)
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Settle waits until the pool of sessions is full: the least number of spares is
// there, and for half a second no process of the pool has come or gone.
func (d *Daemon) Settle() {
	d.TB.Helper()
	ctl := &control.Client{Socket: d.Socket}
	var last string
	var since time.Time
	Until(d.TB, "a full pool", func() bool {
		if now := fmt.Sprint(d.Children("session")); now != last {
			last, since = now, time.Now()
		}
		s, err := ctl.Status(context.Background())
		return err == nil && s.Sessions.Pool >= 2 && time.Since(since) > 500*time.Millisecond
	})
}

func quoted(l []string) string {
	q := make([]string, len(l))
	for i, s := range l {
		q[i] = strconv.Quote(s)
	}
	return strings.Join(q, ", ")
}

func cheapHash(tb testing.TB, password string) string {
	tb.Helper()
	h, err := shacrypt.New(shacrypt.WithVariant(shacrypt.VariantSHA512), shacrypt.WithIterations(1000))
	must(tb, err)
	d, err := h.Hash(password)
	must(tb, err)
	return d.Encode()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// logBuffer is a bytes.Buffer that a writer and readers may share.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
