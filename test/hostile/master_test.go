package hostile

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
	"sallyport/test/daemon"
)

// realm is a real master with its real workers, but hijacked sessions, each
// obeying its client (see session/puppet.go).
type realm struct {
	t    *testing.T
	d    *daemon.Daemon
	addr string
	log  lockedBuffer
	pid  int

	proxied string // address of a listener behind a proxy
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRealm builds the programs beside each other and starts master. atStart is
// what each session does in the pool.
func newRealm(t *testing.T, atStart string, more ...string) *realm {
	t.Helper()
	dir := shared(t)
	build := func(name, pkg string, extra ...string) {
		args := append([]string{"build", "-trimpath", "-o", filepath.Join(dir, name)}, extra...)
		cmd := exec.Command("go", append(args, pkg)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	build("sallyport", "sallyport/cmd/master")
	build("authd", "sallyport/cmd/authd")
	build("files", "sallyport/cmd/files")
	build("session", "sallyport/test/hostile/session", "-tags", "hostile", "-ldflags", "-X 'main.atStart="+atStart+"'")
	must(t, os.Chmod(dir, 0o755))

	r := &realm{t: t, d: daemon.Write(t, daemon.Options{Config: realmConfig + strings.Join(more, "")})}
	cmd := exec.Command(filepath.Join(dir, "sallyport"), "--config", r.d.Config)
	cmd.Stderr = &r.log
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	r.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("master ended with %v", err)
		}
		if t.Failed() {
			t.Logf("master's log:\n%s", r.log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v\n%s", err, r.log.String())
	}
	_, r.addr, _ = strings.Cut(strings.TrimSpace(line), "ftp=")
	r.addr, r.proxied, _ = strings.Cut(r.addr, " proxied=")
	return r
}

// realmConfig has a listener behind a proxy and a host by name besides the
// ordinary ones.
const realmConfig = `
max {
  instances = 100
}
listener "proxied" {
  address = ["127.0.0.1:0"]
  proxy   = ["127.0.0.1"]
}
virtual_host "other" {
  names = ["other.example.org"]
  max {
    transfers_per_host "RETR" {
      count = 1
    }
  }
}
`

// puppet is the client's end of one hijacked session.
type puppet struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

// client connects and waits until a session has taken over.
func (r *realm) client(t *testing.T) *puppet { t.Helper(); return r.clientAt(t, r.addr) }

func (r *realm) clientAt(t *testing.T, addr string) *puppet {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	p := &puppet{t, c, bufio.NewReader(c)}
	_, err = c.Write([]byte("STATE\r\n")) // the first byte calls a session
	must(t, err)
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for the session: %v", err)
		}
		if strings.HasPrefix(line, "= ") {
			return p
		}
	}
}

// do lets the session obey one line. ended says that the session was ended.
func (p *puppet) do(line string) (result string, ended bool) {
	p.t.Helper()
	must(p.t, p.c.SetDeadline(time.Now().Add(30*time.Second)))
	if _, err := p.c.Write([]byte(line + "\r\n")); err != nil {
		return "", true
	}
	for {
		got, err := p.in.ReadString('\n')
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			p.t.Fatalf("%s: neither an answer nor an end", line)
		}
		if err != nil {
			return "", true
		}
		if s, ok := strings.CutPrefix(strings.TrimSpace(got), "= "); ok {
			return s, false
		}
	}
}

// gone waits for the end of the session after it did something it must not.
func (p *puppet) gone() bool {
	for {
		if _, err := p.in.ReadString('\n'); err != nil {
			ne, ok := err.(net.Error)
			return !ok || !ne.Timeout()
		}
	}
}

// offence is one breach of a dialogue, and whether a login comes first.
type offence struct {
	name  string
	line  string
	login bool
}

// offences are all rows in all wrong states, and what is no message at all.
func offences() []offence {
	var all []offence
	for _, ch := range []struct {
		name string
		d    *ipc.Dialogue
	}{{"lane", ipc.SessionLane}, {"auth", ipc.SessionAuthd}} {
		for _, login := range []bool{false, true} {
			state := ipc.SessionLogin
			if login {
				state = ipc.SessionOpen
			}
			when := map[bool]string{false: "before login", true: "after login"}[login]
			for _, row := range ch.d.Rows {
				fits := row.From == ipc.Session && row.In&state != 0
				if ch.name == "auth" { // signatures are asked for after a login, too
					fits = row.From == ipc.Session && (!login || row.In&ipc.AuthClosed != 0)
				}
				name := reflect.TypeOf(row.Body).Name()
				if fits {
					all = append(all, offence{name + " with a descriptor " + when, "FDS " + ch.name + " " + name + " 1", login})
				} else {
					all = append(all, offence{name + " on " + ch.name + " " + when, "SEND " + ch.name + " " + name, login})
				}
			}
			for what, raw := range map[string]string{
				"no message": "00", "an unknown kind": "927f90", "a huge array": "9201ddffffffff", "trailing bytes": "920591" + "00" + "00",
				"a body cut short": "9209", "an extension": "9209c70000",
			} {
				all = append(all, offence{what + " on " + ch.name + " " + when, "RAW " + ch.name + " " + raw, login})
			}
			all = append(all, offence{"more than 64 KiB on " + ch.name + " " + when, "HUGE " + ch.name + " 70000", login})
		}
	}
	all = append(all,
		offence{"a flood of reports", "FLOOD lane Report 20000", true},
		offence{"a flood of records", "FLOOD lane Record 40000", true},
		offence{"a flood of ends of transfers", "FLOOD lane EndTransfer 20000", true},
		offence{"a host in no way there is", "SEND lane SelectHost", false},
		offence{"a PROXY header that nobody asked for", "SEND lane ProxyHeader", false},
		offence{"a transfer by no command", "SEND lane BeginTransfer", true},
		offence{"a flood of attempts", "FLOOD auth AuthRequest 2000", false})
	return all
}

// TestMasterEndsWhoeverBreaksADialogue: each breach on the lane ends the session
// that committed it, each one on the authd channel ends its chance to log in;
// nobody else notices.
func TestMasterEndsWhoeverBreaksADialogue(t *testing.T) {
	needRoot(t)
	r := newRealm(t, "")
	bystander := r.client(t)
	if got, _ := bystander.do("LOGIN bob builder"); got != "ok" {
		t.Fatalf("the bystander's login: %s\n%s", got, r.log.String())
	}
	for _, o := range offences() {
		t.Run(o.name, func(t *testing.T) {
			p := r.client(t)
			if o.login {
				if got, _ := p.do("LOGIN bob builder"); got != "ok" {
					t.Fatalf("login: %s", got)
				}
			}
			result, ended := p.do(o.line)
			if strings.HasPrefix(o.line, "FDS") { // no descriptor leaves a session
				if result != "EPERM" || ended {
					t.Fatalf("%s: %s, ended %v", o.line, result, ended)
				}
				return
			}
			if !ended && !strings.HasPrefix(result, "ok") && !strings.Contains(result, "after") {
				t.Fatalf("%s: %s", o.line, result)
			}
			if ended {
				return
			}
			if strings.Contains(o.line, " auth ") {
				// authd hangs up: the session will never be logged in, and
				// master's login deadline ends it.
				for range 2000 { // answers that were on their way come first
					got, ended := p.do("WAIT auth")
					if ended || got == "EOF" {
						return
					}
					if got != "AuthReply" {
						t.Fatalf("%s: authd answers %s", o.line, got)
					}
				}
				t.Fatalf("%s: authd goes on answering", o.line)
			}
			if !p.gone() {
				t.Errorf("%s: the session lives on", o.line)
			}
		})
	}
	t.Run("messages where master never listens", func(t *testing.T) {
		p := r.client(t)
		for _, row := range ipc.SessionNotice.Rows {
			// Whether they are refused or wait unread is one: they reach nobody,
			// and the kernel bounds them.
			got, ended := p.do("SEND notice " + reflect.TypeOf(row.Body).Name() + " 100000")
			if !ended && !strings.HasPrefix(got, "EAGAIN after ") && !strings.HasPrefix(got, "EPIPE after ") {
				t.Errorf("%s on the notice channel: %s", reflect.TypeOf(row.Body).Name(), got)
			}
			if ended {
				return
			}
		}
		if got, _ := p.do("LOGIN bob builder"); got != "ok" {
			t.Errorf("an honest login afterwards: %s", got)
		}
	})
	t.Run("a socket that is to wait for its client when master closes it", func(t *testing.T) {
		p := r.client(t)
		_, err := p.c.Write([]byte("LINGER 3600\r\n")) // and reads nothing
		must(t, err)
		daemon.Until(t, "master to be done with it", func() bool {
			for line := range strings.Lines(r.log.String()) {
				if strings.Contains(line, p.c.LocalAddr().String()) && strings.Contains(line, "session closed") {
					return true
				}
			}
			return false
		})
	})
	if got, ended := bystander.do("STATE"); ended || got != fmt.Sprint(ipc.SessionOpen) {
		t.Errorf("the bystander: %q, ended %v", got, ended)
	}
	if err := unix.Kill(r.pid, 0); err != nil {
		t.Errorf("master: %v", err)
	}
	if got, _ := r.client(t).do("LOGIN bob builder"); got != "ok" {
		t.Errorf("a login after all of it: %s", got)
	}
}

// TestSandboxHoldsUnderMaster: what the probes show holds for sessions that
// master itself has started, and a killed one is told in the log.
func TestSandboxHoldsUnderMaster(t *testing.T) {
	needRoot(t)
	r := newRealm(t, "")
	p := r.client(t)
	for _, try := range []struct{ name, want string }{
		{"openat", "EPERM"},
		{"openat2", "EPERM"},
		{"kill all", "EPERM"},
		{"map executable memory", "EPERM"},
		{"truncate stderr", "EPERM"},
		{"dumpable again", "EPERM"},
		{"clone3", "ENOSYS"},
	} {
		if got, ended := p.do("TRY " + try.name); got != try.want || ended {
			t.Errorf("%s: %q, ended %v; want %s", try.name, got, ended, try.want)
		}
	}
	bystander := r.client(t)
	for _, name := range []string{"socket", "execve", "fork", "ptrace a sibling", "bind"} {
		if got, ended := r.client(t).do("TRY " + name); !ended {
			t.Errorf("%s: %s, and the session lives on", name, got)
		}
	}
	daemon.Until(t, "the log to tell of the killed sessions", func() bool { return strings.Contains(r.log.String(), "SIGSYS") })
	if got, ended := bystander.do("LOGIN bob builder"); got != "ok" || ended {
		t.Errorf("the bystander: %q, ended %v", got, ended)
	}
}
