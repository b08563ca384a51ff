package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/control"
)

// The end-to-end tests of this package build the real programs once and drive
// them over raw connections. The clients of the world are in test/clients.

var (
	buildOnce sync.Once
	buildDir  string
	buildErr  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// programs returns the directory of freshly built programs.
func programs(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		if buildDir, buildErr = os.MkdirTemp("", "sallyport-bin."); buildErr != nil {
			return
		}
		buildErr = os.Chmod(buildDir, 0o755)
		for out, pkgs := range map[string][]string{
			"/sallyport": {"sallyport/cmd/master"},
			"/":          {"sallyport/cmd/session", "sallyport/cmd/authd", "sallyport/cmd/files", "sallyport/cmd/owner", "sallyport/cmd/netd", "sallyport/cmd/ftpdctl"},
		} {
			cmd := exec.Command("go", append([]string{"build", "-o", buildDir + out}, pkgs...)...)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if msg, err := cmd.CombinedOutput(); err != nil {
				buildErr = fmt.Errorf("go build %v: %w\n%s", pkgs, err, msg)
			}
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return buildDir
}

const nobody = 65534

// house is a running daemon with one user, "ann", password "open sesame".
type house struct {
	t    *testing.T
	bin  string
	dir  string
	home string
	addr string
	cmd  *exec.Cmd
	log  syncBuffer
	done chan error
}

// syncBuffer collects the daemon's standard error.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// prepare writes a configuration; rootless: for a daemon that is not root, even
// where the test is.
func prepare(t *testing.T, rootless bool, extra string) *house {
	t.Helper()
	h := &house{t: t, bin: programs(t), done: make(chan error, 1)}
	var err error
	h.dir, err = os.MkdirTemp("", "sallyport-house.")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(h.dir) })
	h.home = filepath.Join(h.dir, "ann")
	own, uid, user := os.Geteuid(), 49001, "nobody"
	switch {
	case os.Geteuid() != 0:
		uid, user = own, ""
	case rootless:
		own, uid, user = nobody, nobody, ""
	}
	must(t, os.Chmod(h.dir, 0o755))
	for _, d := range []string{"run", "state", "ann"} {
		must(t, os.Mkdir(filepath.Join(h.dir, d), 0o755))
	}
	cmd := exec.Command(filepath.Join(h.bin, "ftpdctl"), "passwd", "add", "--hash", "sha512", "--file", filepath.Join(h.dir, "users"),
		"--uid", fmt.Sprint(uid), "--gid", fmt.Sprint(uid), "--home", h.home, "--shell", "/bin/sh", "--stdin", "ann")
	cmd.Stdin = strings.NewReader("open sesame\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ftpdctl passwd: %v\n%s", err, out)
	}
	if os.Geteuid() == 0 {
		for _, d := range []string{"", "run", "state", "users"} {
			must(t, os.Chown(filepath.Join(h.dir, d), own, own))
		}
		must(t, os.Chown(h.home, uid, uid))
	}
	conf := fmt.Sprintf("instance = %q\nrun_dir = %q\nstate_dir = %q\n", "t"+filepath.Base(h.dir)[16:], h.dir+"/run", h.dir+"/state")
	if user != "" {
		conf += fmt.Sprintf("user = %q\n", user)
	}
	conf += "listener \"ftp\" {\n  address = [\"127.0.0.1:0\"]\n}\n" +
		fmt.Sprintf("auth {\n  order = [\"file\"]\n  require_valid_shell = false\n  file {\n    users = %q\n  }\n}\n", h.dir+"/users") +
		"root \"~\" {}\n" + extra
	must(t, os.WriteFile(h.conf(), []byte(conf), 0o644))
	h.cmd = exec.Command(filepath.Join(h.bin, "sallyport"), "--config", h.conf())
	h.cmd.Stderr = &h.log
	if rootless && os.Geteuid() == 0 {
		h.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{}}}
	}
	return h
}

func (h *house) conf() string { return filepath.Join(h.dir, "sallyport.hcl") }

// start runs the daemon and waits for its line.
func (h *house) start() *house {
	h.t.Helper()
	out, err := h.cmd.StdoutPipe()
	must(h.t, err)
	must(h.t, h.cmd.Start())
	h.t.Cleanup(func() {
		if h.cmd.ProcessState == nil { // a killed daemon cannot tidy up
			_ = h.cmd.Process.Kill()
			left, _ := filepath.Glob("/dev/shm/sallyport.t" + filepath.Base(h.dir)[16:] + ".*")
			for _, name := range left {
				os.Remove(name)
			}
		}
		if h.t.Failed() {
			h.t.Logf("the daemon's log:\n%s", h.log.String())
		}
	})
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(out)
		s, _ := r.ReadString('\n')
		line <- s
		for { // nothing else may come
			more, err := r.ReadString('\n')
			if more != "" {
				h.t.Errorf("on standard output: %q", more)
			}
			if err != nil {
				break
			}
		}
		h.done <- h.cmd.Wait()
	}()
	select {
	case s := <-line:
		var ok bool
		if h.addr, ok = strings.CutPrefix(strings.TrimSpace(s), "sallyport: ready ftp="); !ok {
			h.t.Fatalf("ready line %q\n%s", s, h.log.String())
		}
	case <-time.After(20 * time.Second):
		_ = h.cmd.Process.Kill()
		h.t.Fatalf("no ready line\n%s", h.log.String())
	}
	return h
}

// stop ends the daemon and holds that nothing is left of it.
func (h *house) stop() {
	h.t.Helper()
	must(h.t, h.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Errorf("the daemon ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		h.t.Fatalf("the daemon does not stop\n%s", h.log.String())
	}
	left, err := os.ReadDir(filepath.Join(h.dir, "run"))
	must(h.t, err)
	if len(left) > 0 {
		h.t.Errorf("left in run_dir: %v", left)
	}
	if names, _ := filepath.Glob("/dev/shm/sallyport.t" + filepath.Base(h.dir)[16:] + ".*"); len(names) > 0 {
		h.t.Errorf("left in shared memory: %v", names)
	}
}

// ctl runs ftpdctl as the socket's owner.
func (h *house) ctl(args ...string) string {
	h.t.Helper()
	out, err := h.ctlCmd(args...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("ftpdctl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (h *house) ctlCmd(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(h.bin, "ftpdctl"), append([]string{"--socket", h.dir + "/run/control.sock"}, args...)...)
	cmd.SysProcAttr = h.cmd.SysProcAttr
	return cmd
}

// status asks for the daemon's state, again where an upgrade leaves a question
// without an answer; the command's exit status tells of the same and is not looked
// at.
func (h *house) status() (s control.Status) {
	h.t.Helper()
	until(h.t, "the daemon's state", func() bool {
		out, _ := h.ctlCmd("status", "--json").Output()
		return json.Unmarshal(out, &s) == nil
	})
	return s
}

// wire is a raw control connection.
type wire struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (h *house) dial() *wire {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	must(h.t, err)
	h.t.Cleanup(func() { c.Close() })
	return &wire{h.t, c, bufio.NewReader(c)}
}

// reply reads a reply and checks its code.
func (w *wire) reply(code string) string {
	w.t.Helper()
	for {
		_ = w.SetReadDeadline(time.Now().Add(30 * time.Second))
		line, err := w.r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("want %s: %q, %v", code, line, err)
		}
		if len(line) > 3 && line[3] == ' ' && line[0] != ' ' {
			if !strings.HasPrefix(line, code) {
				w.t.Fatalf("want %s, got %q", code, line)
			}
			return strings.TrimSpace(line)
		}
	}
}

func (w *wire) do(code, command string) string {
	w.t.Helper()
	_, err := fmt.Fprintf(w, "%s\r\n", command)
	must(w.t, err)
	return w.reply(code)
}

func (w *wire) login() *wire {
	w.t.Helper()
	w.reply("220")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "TYPE I")
	return w
}

// passive opens a data connection by EPSV.
func (w *wire) passive() net.Conn {
	w.t.Helper()
	f := strings.Split(w.do("229", "EPSV"), "|")
	if len(f) != 5 {
		w.t.Fatalf("EPSV: %q", f)
	}
	host, _, err := net.SplitHostPort(w.RemoteAddr().String())
	must(w.t, err)
	d, err := net.Dial("tcp", net.JoinHostPort(host, f[3]))
	must(w.t, err)
	w.t.Cleanup(func() { d.Close() })
	return d
}

// until polls what another process brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

func (h *house) waitLog(text string) { h.t.Helper(); h.waitCount(text, 1) }

func (h *house) waitCount(text string, n int) {
	h.t.Helper()
	until(h.t, fmt.Sprintf("the log to say %q %d times", text, n), func() bool { return strings.Count(h.log.String(), text) >= n })
}

func (h *house) waitWho(text string) {
	h.t.Helper()
	until(h.t, fmt.Sprintf("who to say %q", text), func() bool { return strings.Contains(h.ctl("who", "--json"), text) })
}

// killChildOf kills the session or files process that serves a client.
func (h *house) killChildOf(name, client string) {
	h.t.Helper()
	var who control.WhoResult
	must(h.t, json.Unmarshal([]byte(h.ctl("who", "--json")), &who))
	for _, s := range who.Sessions {
		if s.Client == client {
			pid := s.PID
			if name == "files" {
				pid = s.FilesPID
			}
			must(h.t, syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
	h.t.Fatalf("who does not list %s", client)
}

func (h *house) killAuthd() {
	h.t.Helper()
	status := h.status()
	must(h.t, syscall.Kill(status.Workers[0].PID, syscall.SIGKILL))
}
