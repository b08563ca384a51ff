package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a running FTP server in a control group of its own.
type server struct {
	name  string
	addr  string
	tls   bool   // clients use TLS, on data connections too
	from  string // address that logins come from; empty: any
	start func() *exec.Cmd

	cmd   *exec.Cmd
	group string
}

func (s *server) ours() bool { return strings.HasPrefix(s.name, "sallyport") }

const cpuacct = "/sys/fs/cgroup/cpuacct"

// up starts the server and waits until it greets.
func (s *server) up() error {
	s.group = filepath.Join(cpuacct, fmt.Sprintf("sallyport-bench-%d-%s", os.Getpid(), s.name))
	if err := os.Mkdir(s.group, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	s.cmd = s.start()
	// a shell joins the group before it becomes the server, so nothing escapes
	line := append([]string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, s.group, s.cmd.Path}, s.cmd.Args[1:]...)
	s.cmd.Path, s.cmd.Args = "/bin/sh", line
	log, err := os.Create(filepath.Join(os.TempDir(), "bench-"+s.name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if n, err := net.Dial("tcp", s.addr); err == nil {
			var b [3]byte
			_ = n.SetDeadline(time.Now().Add(5 * time.Second))
			_, err := n.Read(b[:])
			n.Close()
			if err == nil {
				return nil
			}
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(log.Name())
			s.stop()
			return fmt.Errorf("%s does not greet: %s", s.name, b)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-done
	}
	for _, p := range s.pids() {
		_ = syscall.Kill(p, syscall.SIGKILL)
	}
	for range 100 {
		if os.Remove(s.group) == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.cmd = nil
}

// cpu is what the server and all its children, living and dead, have used.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(filepath.Join(s.group, "cpuacct.usage"))
	if err != nil {
		panic(err)
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return time.Duration(n)
}

func (s *server) pids() []int {
	b, _ := os.ReadFile(filepath.Join(s.group, "cgroup.procs"))
	var pids []int
	for f := range strings.FieldsSeq(string(b)) {
		p, _ := strconv.Atoi(f)
		pids = append(pids, p)
	}
	return pids
}

// private is the private memory of all the server's processes, in bytes.
func (s *server) private() int64 {
	var sum int64
	for _, p := range s.pids() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 1 && (f[0] == "Private_Dirty:" || f[0] == "Private_Clean:") {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// settle waits until the server's children are gone and pools are refilled:
// until the number of its processes stays the same for a while.
func (s *server) settle() {
	same, last := 0, -1
	for range 500 {
		n := len(s.pids())
		if n == last {
			same++
		} else {
			same, last = 0, n
		}
		if same >= 15 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
