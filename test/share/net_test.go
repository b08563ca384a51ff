// Package share proves docs/BANS.md where it speaks of several servers: daemons
// on machines of their own share one list by a real Redis or memcached, in
// network namespaces of the test's own.
package share

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/test/daemon"
)

// network is a hub, where the store and the clients are, with servers around it.
type network struct {
	t   *testing.T
	tag string
	hub int // descriptor of its namespace
	n   int
}

// Addresses of clients; every server has a route to them.
const (
	stranger = "203.0.113.9"
	friend   = "203.0.113.10"
)

var networks int

func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	networks++
	w := &network{t: t, tag: fmt.Sprintf("sh%d.%d", os.Getpid(), networks)}
	w.add("hub")
	for _, a := range []string{stranger, friend} {
		w.run("ip", "-n", w.tag+"hub", "addr", "add", a+"/32", "dev", "lo")
	}
	fd, err := unix.Open("/run/netns/"+w.tag+"hub", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.hub = fd
	t.Cleanup(func() { unix.Close(fd) })
	return w
}

func (w *network) run(name string, args ...string) {
	w.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (w *network) add(name string) string {
	w.t.Helper()
	ns := w.tag + name
	w.run("ip", "netns", "add", ns)
	w.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	w.run("ip", "-n", ns, "link", "set", "lo", "up")
	return ns
}

// server is a machine with a daemon.
type server struct {
	*daemon.Daemon
	w    *network
	addr string // as the hub sees it
}

// serve starts a daemon on a machine of its own. Config may name the hub HUB.
func (w *network) serve(config string) *server {
	w.t.Helper()
	w.n++
	ns := w.add(fmt.Sprint("n", w.n))
	hub, addr := fmt.Sprintf("10.77.%d.1", w.n), fmt.Sprintf("10.77.%d.2", w.n)
	at, far := fmt.Sprintf("%dh%d", os.Getpid()%100000, 10*networks+w.n), fmt.Sprintf("%dn%d", os.Getpid()%100000, 10*networks+w.n)
	w.run("ip", "link", "add", at, "netns", w.tag+"hub", "type", "veth", "peer", "name", far, "netns", ns)
	w.run("ip", "-n", w.tag+"hub", "addr", "add", hub+"/24", "dev", at)
	w.run("ip", "-n", w.tag+"hub", "link", "set", at, "up")
	w.run("ip", "-n", ns, "addr", "add", addr+"/24", "dev", far)
	w.run("ip", "-n", ns, "link", "set", far, "up")
	w.run("ip", "-n", ns, "route", "add", "default", "via", hub)
	d := daemon.Start(w.t, daemon.Options{
		Within: []string{"ip", "netns", "exec", ns}, Listen: []string{addr + ":21"}, Config: strings.ReplaceAll(config, "HUB", hub),
	})
	return &server{Daemon: d, w: w, addr: addr + ":21"}
}

// dial calls from an address of the hub.
func (s *server) dial(from string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends in the other namespace
		if err = unix.Setns(s.w.hub, unix.CLONE_NEWNET); err != nil {
			return
		}
		d := net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err = d.Dial("tcp4", s.addr)
	}()
	<-done
	return c, err
}

// login logs in and out. It returns the last reply; an empty one is that of a
// connection that was closed without a word.
func (s *server) login(from, user, password string) (string, error) {
	c, err := s.dial(from)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	last := ""
	for _, command := range []string{"", "USER " + user + "\r\n", "PASS " + password + "\r\n"} {
		if _, err := c.Write([]byte(command)); err != nil {
			break
		}
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		if last = strings.TrimSpace(line); last[0] > '3' {
			break
		}
	}
	return last, nil
}

// in tells whether alice can log in from an address.
func (s *server) in(from string) bool {
	s.w.t.Helper()
	reply, err := s.login(from, "alice", s.Users["alice"].Password)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return strings.HasPrefix(reply, "230")
}

// out waits until she cannot.
func (s *server) out(from string) {
	s.w.t.Helper()
	daemon.Until(s.w.t, s.addr+" to refuse "+from, func() bool { return !s.in(from) })
}

// back waits until she can.
func (s *server) back(from string) {
	s.w.t.Helper()
	daemon.Until(s.w.t, s.addr+" to let "+from+" in", func() bool { return s.in(from) })
}

func (s *server) ctl(args ...string) string {
	s.w.t.Helper()
	out, err := s.Ctl(args...)
	if err != nil {
		s.w.t.Fatalf("ftpdctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// service is a server of Debian's in the hub.
type service struct {
	w    *network
	argv []string
	cmd  *exec.Cmd
}

func (w *network) service(argv ...string) *service {
	w.t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		w.t.Skip("needs " + argv[0])
	}
	s := &service{w: w, argv: argv}
	s.start()
	w.t.Cleanup(s.kill)
	return s
}

func (s *service) start() {
	s.w.t.Helper()
	s.cmd = exec.Command("ip", append([]string{"netns", "exec", s.w.tag + "hub"}, s.argv...)...)
	if err := s.cmd.Start(); err != nil {
		s.w.t.Fatal(err)
	}
}

func (s *service) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

const password = "open sesame 81"

// redis starts one that wants a password, and returns the configuration that
// shares by it.
func (w *network) redis() (*service, string) {
	w.t.Helper()
	dir := w.t.TempDir()
	s := w.service("redis-server", "--bind", "0.0.0.0", "--port", "6379", "--save", "", "--appendonly", "no", "--dir", dir, "--requirepass", password)
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return s, fmt.Sprintf("  share \"redis\" {\n    address = \"HUB:6379\"\n    password_file = %q\n    counters = true\n  }\n", file)
}

// talk speaks to the Redis in the hub: inline commands, one a line, and returns
// the last line of the answers.
func (w *network) talk(commands string) string {
	w.t.Helper()
	c := exec.Command("ip", "netns", "exec", w.tag+"hub", "redis-cli", "--no-auth-warning", "-a", password)
	c.Stdin = strings.NewReader(commands)
	out, err := c.CombinedOutput()
	if err != nil {
		w.t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// fill puts bans of other servers into the Redis, one of the stranger among them.
func (w *network) fill(n int) {
	w.t.Helper()
	now := time.Now()
	var b strings.Builder
	for i := range n {
		k, err := ban.NameKey(ban.Host, fmt.Sprintf("198.18.%d.%d", i>>8, i&255), "")
		if i == 0 {
			k, err = ban.NameKey(ban.Host, stranger, "")
		}
		if err != nil {
			w.t.Fatal(err)
		}
		x := &ban.Ban{Key: k, Created: now.UnixNano(), Expires: now.Add(time.Hour).UnixNano(), Reason: "of another"}
		fmt.Fprintf(&b, "SETEX %q 3600 %q\n", "mod_ban."+ban.ShareKey(k), ban.ShareValue(x, "192.0.2.1", 21, now))
	}
	if got := w.talk(b.String()); got != "OK" {
		w.t.Fatalf("redis-cli: %s", got)
	}
}

// has tells whether the Redis holds a ban of an address.
func (w *network) has(addr string) bool {
	w.t.Helper()
	k, err := ban.NameKey(ban.Host, addr, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.talk(fmt.Sprintf("EXISTS %q\n", "mod_ban."+ban.ShareKey(k))) == "1"
}
