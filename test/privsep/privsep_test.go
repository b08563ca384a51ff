// Package privsep looks at the running processes from outside: identities that
// never change, sandboxes on every thread, deaths that heal, and errors that say
// what is wrong.
package privsep

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/test/daemon"
)

// status is the part of /proc/PID/status that must never change.
type status struct {
	UID, GID, Groups             string
	CapPrm, CapEff, CapBnd       string
	NoNewPrivs, Seccomp, Threads string
}

func read(t *testing.T, path string) (status, bool) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return status{}, false
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(line, ":")
		m[k] = strings.Join(strings.Fields(v), " ")
	}
	return status{m["Uid"], m["Gid"], m["Groups"], m["CapPrm"], m["CapEff"], m["CapBnd"], m["NoNewPrivs"], m["Seccomp"], m["Threads"]}, true
}

// threads returns the status of every thread of a process.
func threads(t *testing.T, pid int) []status {
	t.Helper()
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	var all []status
	for _, p := range paths {
		if s, ok := read(t, p); ok {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		t.Fatalf("process %d is gone", pid)
	}
	return all
}

func four(id int) string { return strings.Repeat(fmt.Sprint(id)+" ", 3) + fmt.Sprint(id) }

const none = "0000000000000000"

// confined checks the promise of a session or files process on every thread.
func confined(t *testing.T, role string, pid, uid, gid int) {
	t.Helper()
	for _, s := range threads(t, pid) {
		holds(t, role, pid, uid, gid, s)
	}
}

func holds(t *testing.T, role string, pid, uid, gid int, s status) {
	t.Helper()
	s.Threads = ""
	want := status{UID: four(uid), GID: four(gid), CapPrm: none, CapEff: none, CapBnd: none, NoNewPrivs: "1", Seccomp: "2"}
	if s != want {
		t.Errorf("%s %d: %+v, want %+v", role, pid, s, want)
	}
}

func one(t *testing.T, d *daemon.Daemon, name string) int {
	t.Helper()
	var pids []int
	daemon.Until(t, "one "+name, func() bool {
		pids = d.Children(name)
		return len(pids) == 1
	})
	return pids[0]
}

// busySession finds the session that owns a client, by the client's socket.
func busySession(t *testing.T, d *daemon.Daemon, c *daemon.Conn) int {
	t.Helper()
	link := "socket:[" + socketInode(t, port(c.RemoteAddr()), port(c.LocalAddr())) + "]"
	found := 0
	daemon.Until(t, "a session to hold the client's socket", func() bool {
		for _, pid := range d.Children("session") {
			fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
			for _, fd := range fds {
				if l, _ := os.Readlink(fd); l == link {
					found = pid
				}
			}
		}
		return found != 0
	})
	return found
}

func port(a net.Addr) int { return a.(*net.TCPAddr).Port }

// socketInode finds the server's end of a connection by both ports: others may
// use the same client port towards other servers, or have used it just now.
func socketInode(t *testing.T, server, client int) string {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", server)) && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", client)) && f[9] != "0" {
			return f[9]
		}
	}
	t.Fatalf("no socket between the ports %d and %d", server, client)
	return ""
}

func rootOnly(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: /proc of other users' processes")
	}
}

func TestIdentitiesAreConstantFromExecToExit(t *testing.T) {
	rootOnly(t)
	d := daemon.Start(t, daemon.Options{Config: "allow_overwrite = true\n"})
	const nobody = 65534
	pool := d.Children("session")
	for _, pid := range pool {
		for _, s := range threads(t, pid) {
			s.Seccomp = "2" // its filter comes a moment after its start
			holds(t, "pool session", pid, nobody, nobody, s)
		}
	}
	d.Settle()
	for _, pid := range pool {
		confined(t, "pool session", pid, nobody, nobody)
	}
	if s, _ := read(t, fmt.Sprintf("/proc/%d/status", one(t, d, "authd"))); s.CapBnd == "000001ffffffffff" || s.Seccomp != "2" {
		t.Errorf("authd: %+v", s)
	}
	if s, _ := read(t, fmt.Sprintf("/proc/%d/status", d.PID)); s.Seccomp != "2" || s.CapBnd == "000001ffffffffff" {
		t.Errorf("master: %+v", s)
	}
	c := d.Dial()
	c.Expect("331", "USER alice")
	session := busySession(t, d, c)
	confined(t, "session before login", session, nobody, nobody)
	c.Expect("230", "PASS wonder land")
	confined(t, "session after login", session, nobody, nobody)
	files := one(t, d, "files")
	uid := d.Users["alice"].UID
	confined(t, "files", files, uid, uid)
	data := c.Passive()
	c.Expect("150", "STOR f")
	confined(t, "session in transfer", session, nobody, nobody)
	confined(t, "files in transfer", files, uid, uid)
	data.Close()
	c.Reply()
	st, err := os.Stat(d.Home("alice", "f"))
	if err != nil {
		t.Fatal(err)
	}
	if sys := st.Sys().(*syscall.Stat_t); int(sys.Uid) != uid || int(sys.Gid) != uid {
		t.Errorf("the upload belongs to %d:%d", sys.Uid, sys.Gid)
	}
	if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/root", session)); exe == "/" {
		t.Error("the session is not chrooted")
	}
	c.Expect("221", "QUIT")
	daemon.Until(t, "session and files to end", func() bool {
		return !slices.Contains(d.Children("session"), session) && len(d.Children("files")) == 0
	})
}

func TestEachDeathHeals(t *testing.T) {
	rootOnly(t)
	d := daemon.Start(t, daemon.Options{Config: "allow_overwrite = true\n"})
	other := d.Login("bob")
	t.Run("session", func(t *testing.T) {
		c := d.Login("alice")
		if err := syscall.Kill(busySession(t, d, c), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if last := c.Ended(); !strings.HasPrefix(last, "421 ") {
			t.Errorf("the client's last reply: %q", last)
		}
		other.Expect("200", "NOOP")
		d.Login("alice").Expect("221", "QUIT")
	})
	t.Run("files", func(t *testing.T) {
		var before []int
		daemon.Until(t, "bob's files process alone", func() bool {
			before = d.Children("files")
			return len(before) == 1
		})
		c := d.Login("alice")
		for _, pid := range d.Children("files") {
			if !slices.Contains(before, pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		c.Send("SIZE f\r\n")
		c.Ended()
		other.Expect("212", "STAT /")
		d.Login("alice").Expect("221", "QUIT")
	})
	t.Run("authd", func(t *testing.T) {
		early := d.Dial()
		early.Expect("331", "USER alice")
		if err := syscall.Kill(one(t, d, "authd"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		other.Expect("200", "NOOP")
		daemon.Until(t, "authd to be back", func() bool { return len(d.Children("authd")) >= 1 })
		daemon.Until(t, "logins to work", func() bool {
			c := d.Raw()
			c.Line()
			c.Send("USER alice\r\n")
			c.Line()
			c.Send("PASS wonder land\r\n")
			line, _ := c.Line()
			c.Close()
			return strings.HasPrefix(line, "230")
		})
		early.Send("PASS wonder land\r\n")
		if line, _ := early.Line(); !strings.HasPrefix(line, "230") && !strings.HasPrefix(line, "421") && !strings.HasPrefix(line, "530") {
			t.Errorf("a session from before: %q", line)
		}
	})
	t.Run("master", func(t *testing.T) {
		e := daemon.Start(t, daemon.Options{})
		c := e.Login("alice")
		var pids []int
		for _, role := range []string{"session", "files", "authd"} { // hash workers are authd's
			list := e.Children(role)
			if len(list) == 0 {
				t.Fatalf("no %s", role)
			}
			pids = append(pids, list...)
		}
		e.Signal(syscall.SIGKILL)
		<-e.Done()
		c.Ended()
		daemon.Until(t, "its children to be gone", func() bool {
			for _, p := range pids {
				if s, ok := read(t, fmt.Sprintf("/proc/%d/status", p)); ok && s.Threads != "" {
					if st, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p)); !strings.Contains(string(st), ") Z ") && len(st) > 0 {
						return false
					}
				}
			}
			return true
		})
	})
}

// TestRootLogsInWhereThatIsMeant: root_login gives a files process of uid 0, and
// no capability.
func TestRootLogsInWhereThatIsMeant(t *testing.T) {
	rootOnly(t)
	users := []daemon.User{{Name: "toor", Password: "top secret", UID: 0}}
	d := daemon.Start(t, daemon.Options{Users: users, Config: "root_login = true\n"})
	c := d.Login("toor")
	confined(t, "files", one(t, d, "files"), 0, 0)
	c.Expect("221", "QUIT")
	e := daemon.Start(t, daemon.Options{Users: users})
	c = e.Dial()
	c.Expect("331", "USER toor")
	c.Expect("530", "PASS top secret")
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	run := func(t *testing.T, d *daemon.Daemon, args ...string) string {
		t.Helper()
		c := exec.Command(daemon.Bin(t, "sallyport"), append([]string{"--config", d.Config}, args...)...)
		timer := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
		defer timer.Stop()
		out, err := c.CombinedOutput()
		if err == nil {
			t.Fatalf("no error:\n%s", out)
		}
		return string(out)
	}
	says := func(t *testing.T, out string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("no %q in:\n%s", w, out)
			}
		}
	}
	t.Run("unknown key", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{Config: "alow_overwrite = true\n"})
		says(t, run(t, d, "--check"), "alow_overwrite", "allow_overwrite", "sallyport.hcl:")
	})
	t.Run("later feature", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{Config: "directory \"/srv\" {\n  umask = \"002\"\n}\n"})
		says(t, run(t, d, "--check"), "not built yet", "directory", "sallyport.hcl:")
	})
	t.Run("certificate path", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{Config: "tls {\n  certificate {\n    file = \"/nowhere.pem\"\n    key = \"/nowhere.key\"\n  }\n}\n"})
		says(t, run(t, d, "--check"), "tls.certificate.file", `"/nowhere.pem" does not exist`, `"/nowhere.key" does not exist`)
	})
	t.Run("port in use", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{})
		e := daemon.Write(t, daemon.Options{Listen: []string{d.Addr}})
		says(t, run(t, e), d.Addr, "in use")
	})
	t.Run("missing run_dir", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{})
		if err := os.Remove(filepath.Join(d.Dir, "run")); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(d.Config)
		_ = os.WriteFile(d.Config, []byte(strings.ReplaceAll(string(b), d.Dir+"/run", "/nowhere/run")), 0o644)
		says(t, run(t, d), "/nowhere/run", "no such file or directory")
	})
	t.Run("no configuration file", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{})
		_ = os.Remove(d.Config)
		says(t, run(t, d), d.Config, "no such file")
	})
	t.Run("users file readable by all", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{})
		if err := os.Chmod(filepath.Join(d.Dir, "users"), 0o644); err != nil {
			t.Fatal(err)
		}
		says(t, run(t, d, "--check"), filepath.Join(d.Dir, "users"), "world-readable")
	})
	t.Run("missing users file", func(t *testing.T) {
		d := daemon.Write(t, daemon.Options{})
		_ = os.Remove(filepath.Join(d.Dir, "users"))
		says(t, run(t, d, "--check"), filepath.Join(d.Dir, "users"), "does not exist")
	})
	t.Run("missing PAM service", func(t *testing.T) {
		rootOnly(t)
		const auth = "auth {\n  order = [\"pam*\"]\n  pam {\n    service = \"sallyport-no-such-service\"\n  }\n}\n"
		says(t, run(t, daemon.Write(t, daemon.Options{Auth: auth})), "sallyport-no-such-service", "no such file", "sallyport: authd cannot serve")

		d := daemon.Start(t, daemon.Options{})
		right, err := os.ReadFile(d.Config)
		if err != nil {
			t.Fatal(err)
		}
		before, _, _ := strings.Cut(string(right), "auth {")
		if err := os.WriteFile(d.Config, []byte(before+auth+"root \"~\" {}\nmax {\n  instances = 1\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := d.Ctl("reload"); err == nil || !strings.Contains(out, "sallyport-no-such-service") {
			t.Errorf("reload: %v\n%s", err, out)
		}
		a, b := d.Login("alice"), d.Login("bob") // by the configuration that stays
		a.Expect("221", "QUIT")
		b.Expect("221", "QUIT")
	})
	t.Run("run_dir of another instance", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{})
		e := daemon.Write(t, daemon.Options{})
		b, _ := os.ReadFile(e.Config)
		_ = os.WriteFile(e.Config, []byte(strings.ReplaceAll(string(b), e.Dir+"/run", d.Dir+"/run")), 0o644)
		says(t, run(t, e), "control.sock", "another daemon")
		for range 8 { // more than the pool holds: new sessions are started in the directory
			d.Login("alice").Expect("221", "QUIT")
		}
	})
	t.Run("second instance", func(t *testing.T) {
		d := daemon.Start(t, daemon.Options{})
		says(t, run(t, d), "instance")
	})
}
