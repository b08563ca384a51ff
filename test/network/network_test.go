// Package network proves docs/NETWORK.md: the daemon behind a packet filter and
// behind a router that translates addresses, with nftables, in network
// namespaces of the test's own.
package network

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/test/daemon"
)

// namespace is a machine of the test's network.
type namespace string

// net builds a network of namespaces that the test's end removes.
type net struct {
	t    *testing.T
	tag  string
	made int
}

func newNet(t *testing.T) *net {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	return &net{t: t, tag: fmt.Sprintf("sp%d", os.Getpid())}
}

func (n *net) machine(name string) namespace {
	n.t.Helper()
	ns := n.tag + name
	command(n.t, "ip", "netns", "add", ns)
	n.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	command(n.t, "ip", "-n", ns, "link", "set", "lo", "up")
	return namespace(ns)
}

// wire connects two machines; addresses with their prefix lengths.
func (n *net) wire(a, b namespace, at, bt string) {
	n.t.Helper()
	n.made++
	x, y := fmt.Sprint(n.tag, "x", n.made), fmt.Sprint(n.tag, "y", n.made)
	command(n.t, "ip", "link", "add", x, "netns", string(a), "type", "veth", "peer", "name", y, "netns", string(b))
	for _, end := range []struct {
		ns      namespace
		dev, ip string
	}{{a, x, at}, {b, y, bt}} {
		command(n.t, "ip", "-n", string(end.ns), "addr", "add", end.ip, "dev", end.dev)
		command(n.t, "ip", "-n", string(end.ns), "link", "set", end.dev, "up")
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (ns namespace) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return command(t, "ip", append([]string{"netns", "exec", string(ns), name}, args...)...)
}

// filter loads rules into a machine.
func (ns namespace) filter(t *testing.T, rules string) {
	t.Helper()
	c := exec.Command("ip", "netns", "exec", string(ns), "nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// document returns the code block of docs/NETWORK.md below a heading, so that the
// rules an administrator copies are the ones that are tested.
func document(t *testing.T, heading string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(daemon.Repo(t), "docs", "NETWORK.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(b), "### "+heading+"\n")
	if !ok {
		t.Fatalf("docs/NETWORK.md has no %q", heading)
	}
	_, after, ok = strings.Cut(after, "```\n")
	block, _, end := strings.Cut(after, "```")
	if !ok || !end {
		t.Fatalf("no code below %q", heading)
	}
	return block
}

func serve(t *testing.T, in namespace, o daemon.Options) *daemon.Daemon {
	t.Helper()
	o.Within = []string{"ip", "netns", "exec", string(in)}
	o.Listen = []string{"[::]:21"}
	return daemon.Start(t, o)
}

const passive = `
allow_overwrite = true
passive {
  ports = "49152-49161"
}
`

func TestBehindAPacketFilter(t *testing.T) {
	n := newNet(t)
	server, client := n.machine("server"), n.machine("client")
	n.wire(server, client, "198.51.100.1/24", "198.51.100.2/24")
	server.filter(t, strings.Replace(document(t, "nftables"), "49152-51151", "49152-49161", 1))
	d := serve(t, server, daemon.Options{Config: passive})
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, make([]byte, 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "ftp://alice:wonder%20land@198.51.100.1/"
	for i := range 5 {
		client.run(t, "curl", "-sS", "-m", "20", "-T", file, fmt.Sprint(url, "up", i))
		client.run(t, "curl", "-sS", "-m", "20", "--disable-epsv", "-o", "/dev/null", fmt.Sprint(url, "up", i))
	}
	if st, err := os.Stat(d.Home("alice", "up4")); err != nil || st.Size() != 300_000 {
		t.Errorf("%v %v", st, err)
	}
	// The filter filters: a port outside of the range is not to be reached.
	out, err := exec.Command("ip", "netns", "exec", string(client), "curl", "-sS", "-m", "2", "telnet://198.51.100.1:50000").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "time") {
		t.Errorf("port 50000: %v %s", err, out)
	}
}

func TestBehindARouter(t *testing.T) {
	n := newNet(t)
	server, router, outside, inside := n.machine("server"), n.machine("router"), n.machine("out"), n.machine("in")
	n.wire(router, server, "192.0.2.1/25", "192.0.2.2/25")
	n.wire(router, outside, "203.0.113.1/24", "203.0.113.9/24")
	n.wire(router, inside, "192.0.2.129/25", "192.0.2.130/25")
	command(t, "ip", "-n", string(server), "route", "add", "default", "via", "192.0.2.1")
	command(t, "ip", "-n", string(inside), "route", "add", "default", "via", "192.0.2.129")
	router.run(t, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	router.filter(t, strings.NewReplacer("49152-51151", "49152-49161", "203.0.113.5", "203.0.113.1", "192.0.2.10", "192.0.2.2").Replace(document(t, "A router that translates addresses")))
	d := serve(t, server, daemon.Options{Config: strings.Replace(passive, "}", "  address = \"203.0.113.1\"\n  local   = [\"192.0.2.0/24\"]\n}", 1)})
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, c := range map[string]struct {
		ns    namespace
		host  string
		shown string
	}{
		"outside": {outside, "203.0.113.1", "(203,0,113,1,"},
		"inside":  {inside, "192.0.2.2", "(192,0,2,2,"},
	} {
		t.Run(from, func(t *testing.T) {
			// curl is told to believe the address of the 227.
			out := c.ns.run(t, "curl", "-sSv", "-m", "20", "--disable-epsv", "--no-ftp-skip-pasv-ip", "-T", file, "ftp://alice:wonder%20land@"+c.host+"/"+from)
			if !strings.Contains(out, c.shown) {
				t.Errorf("227 does not show %s:\n%s", c.shown, out)
			}
			if st, err := os.Stat(d.Home("alice", from)); err != nil || st.Size() != 100_000 {
				t.Errorf("%v %v", st, err)
			}
		})
	}
}

// TestPortsRunOut: with a range of ten ports and more transfers than ports the
// others get 425, and a port that is free again is used again. The range is below
// the ports that the kernel gives to whoever connects.
func TestPortsRunOut(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: strings.Replace(passive, "49152-49161", "20101-20110", 1)})
	var open []*daemon.Conn
	refused := 0
	for range 12 {
		c := d.Login("alice")
		c.Send("EPSV\r\n")
		switch line, _ := c.Line(); {
		case strings.HasPrefix(line, "229 "):
			open = append(open, c)
		case strings.HasPrefix(line, "425 "):
			refused++
		default:
			t.Fatalf("EPSV: %q", line)
		}
	}
	if len(open) != 10 || refused != 2 {
		t.Fatalf("%d got a port, %d were refused", len(open), refused)
	}
	open[3].Close()
	daemon.Until(t, "the port to be free again", func() bool {
		c := d.Login("alice")
		defer c.Close()
		c.Send("EPSV\r\n")
		line, _ := c.Line()
		return strings.HasPrefix(line, "229 ")
	})
}
