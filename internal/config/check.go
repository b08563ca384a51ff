package config

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

// Check looks whether the machine has what the policy needs: files and their
// permissions, users, PAM services, addresses that do not collide. It opens
// nothing but PAM files and binds nothing, so it may run beside the server. An
// error means that the server would not start or nobody could log in the way
// the file says.
func Check(p *policy.Policy, facts Facts) Diagnostics {
	c := &checker{p: p, facts: facts, pamDirs: []string{"/etc/pam.d", "/usr/lib/pam.d"}, euid: os.Geteuid(), seen: map[string]bool{}}
	c.run()
	c.diags.Locate(p.File)
	return c.diags
}

func (c *checker) run() {
	c.daemon()
	c.addresses()
	c.plain()
	for i := range c.p.Hosts {
		h := &c.p.Hosts[i]
		c.host(&h.Base)
		for j := range h.ByClass {
			c.host(&h.ByClass[j].Settings)
		}
		c.tls(&h.TLS)
	}
	everySetting(c.p, func(_ *policy.Host, s *policy.Settings) { c.paths(s) })
	c.bans()
}

type checker struct {
	p       *policy.Policy
	facts   Facts
	pamDirs []string
	euid    int
	diags   Diagnostics
	seen    map[string]bool // messages already said: hosts and classes repeat
}

func (c *checker) say(sev Severity, key, value, problem, right string) {
	id := key + "\x00" + value + "\x00" + problem
	if !c.seen[id] {
		c.seen[id] = true
		c.diags = append(c.diags, Diagnostic{Severity: sev, File: c.p.File, Key: key, Value: value, Problem: problem, Right: right})
	}
}

func (c *checker) daemon() {
	g := &c.p.Global
	if c.directory("run_dir", g.RunDir) && g.RunDir != defaultRunDir {
		c.say(Warning, "run_dir", g.RunDir, quote(g.RunDir)+" does not exist yet: the server does not make it", "mkdir "+g.RunDir)
	}
	c.directory("state_dir", g.StateDir)
	if g.Control.Engine {
		c.above("control.socket", g.Control.Socket, g.RunDir)
	}
	if table := c.p.Hosts[0].Base.Auth.Delay.Table; table != "none" {
		c.above("delay.table", table, g.StateDir)
	}
	if c.facts.Root {
		if _, err := user.Lookup(g.User); err != nil {
			c.say(Error, "user", g.User, "there is no user "+quote(g.User)+" on this system",
				"make one that owns nothing: useradd --system --no-create-home --shell /usr/sbin/nologin "+g.User)
		} else if g.User == "root" {
			c.say(Error, "user", g.User, "the processes that talk to clients must not be root's", "name a user that owns nothing")
		}
		if _, err := user.LookupGroup(g.Control.Group); err != nil && g.Control.Engine {
			c.say(Warning, "control.group", g.Control.Group, "there is no group "+quote(g.Control.Group)+": the control socket is for root alone", "groupadd --system "+g.Control.Group)
		}
	}
	if g.Sandbox != "enforce" {
		c.say(Warning, "sandbox", g.Sandbox, "the sandbox is not enforced: a session that is taken over is not stopped by the kernel", `write sandbox = "enforce"`)
	}
}

// above wants the directory of a file that the server makes to exist. There is
// nothing to say where the file lies in one that it knows already.
func (c *checker) above(key, path, known string) {
	dir := filepath.Dir(path)
	if path == "" || dir == known {
		return
	}
	if st, err := os.Stat(dir); err != nil {
		c.say(Error, key, path, fmt.Sprintf("the directory of %s: %v", quote(path), reason(err)), "mkdir -p "+dir)
	} else if !st.IsDir() {
		c.say(Error, key, path, quote(dir)+" is no directory", "")
	}
}

// directory wants dir to exist, or to be possible to make. It is true of one that
// is yet to be made.
func (c *checker) directory(key, dir string) (missing bool) {
	st, err := os.Stat(dir)
	switch {
	case err == nil && !st.IsDir():
		c.say(Error, key, dir, quote(dir)+" is no directory", "")
	case err == nil && st.Mode()&0o002 != 0:
		c.say(Error, key, dir, quote(dir)+" is world-writable", shut(dir))
	case errors.Is(err, fs.ErrNotExist):
		if up, err := os.Stat(filepath.Dir(dir)); err != nil || !up.IsDir() {
			c.say(Error, key, dir, quote(dir)+" cannot be made: the directory above it does not exist", "mkdir -p "+filepath.Dir(dir))
			return false
		}
		return true
	case err != nil:
		c.say(Error, key, dir, fmt.Sprintf("%q: %v", dir, reason(err)), "")
	}
	return false
}

// addresses looks for listeners that cannot be bound beside each other and for
// passive ranges that hold a listener's port.
func (c *checker) addresses() {
	type bound struct {
		label string
		a     netip.AddrPort
	}
	var all []bound
	for _, l := range c.p.Listeners {
		for _, s := range l.Address {
			a, err := netip.ParseAddrPort(s)
			if err != nil || a.Port() == 0 {
				continue
			}
			for _, b := range all {
				if collide(a, b.a) {
					c.say(Error, "listener.address", s, fmt.Sprintf("listener %q at %s and listener %q at %s cannot both be bound", b.label, b.a, l.Label, a),
						"[::] is every address of IPv6 and IPv4 already")
				}
			}
			all = append(all, bound{l.Label, a})
		}
	}
	for i := range c.p.Hosts {
		h := &c.p.Hosts[i]
		c.passive(h, &h.Base)
		for j := range h.ByClass {
			c.passive(h, &h.ByClass[j].Settings)
		}
		for _, b := range all {
			if p := h.Base.Passive; p.Min > 0 && b.a.Port() >= p.Min && b.a.Port() <= p.Max {
				c.say(Warning, "passive.ports", fmt.Sprintf("%d-%d", p.Min, p.Max), fmt.Sprintf("the range holds port %d of listener %q; it is never handed out", b.a.Port(), b.label), "")
			}
		}
	}
}

func collide(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	covers := func(x, y netip.Addr) bool {
		return x == y || x.IsUnspecified() && (x.Is6() || y.Is4())
	}
	return covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr())
}

// passive compares the range with the sessions that may want a port.
func (c *checker) passive(h *policy.Host, s *policy.Settings) {
	p := s.Passive
	if p.Min == 0 {
		return
	}
	n := uint32(p.Max) - uint32(p.Min) + 1
	value := fmt.Sprintf("%d-%d", p.Min, p.Max)
	if most := c.p.Global.MaxInstances; most > n {
		c.say(Warning, "passive.ports", value, fmt.Sprintf("the range of host %q has %d ports, but %d sessions are possible (max.instances): the others get 425", h.Name, n, most),
			fmt.Sprintf("make the range at least %d ports wide", most))
	} else if most == 0 && n < 100 {
		c.say(Warning, "passive.ports", value, fmt.Sprintf("the range of host %q has %d ports, and max.instances sets no limit: more transfers at a time get 425", h.Name, n), "make the range wider, or set max.instances")
	}
}

func (c *checker) host(s *policy.Settings) {
	a := &s.Auth
	for _, src := range a.Order {
		switch src.Name {
		case "file":
			c.accounts("auth.file.users", a.Users, a.FileRule.Insecure)
			c.accounts("auth.file.groups", a.Groups, true)
		case "unix":
			if !c.facts.Root {
				c.say(Error, "auth.order", "unix", "accounts of the system need root rights; without them there is only \"file\"", `write order = ["file"]`)
			} else if _, err := os.Stat(filepath.Join(a.SystemDir, "passwd")); err != nil {
				c.say(Error, "auth.unix.directory", a.SystemDir, fmt.Sprintf("%s: %v", quote(filepath.Join(a.SystemDir, "passwd")), reason(err)), "")
			}
		case "pam":
			c.pam(a)
		}
	}
	if a.Users == "" && len(a.Order) == 1 && a.Order[0].Name == "file" {
		c.say(Warning, "auth.file.users", "", "nobody can log in: the only source of accounts is a users file, and none is named", "write auth { file { users = \"/etc/sallyport/users\" } }, one argument a line")
	}
}

// accounts checks a users or groups file the way authd does (docs/AUTH.md).
func (c *checker) accounts(key, path string, insecure bool) {
	if path == "" {
		return
	}
	bad := func(problem, right string) { c.say(Error, key, path, quote(path)+" "+problem, right) }
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		bad("does not exist", "ftpdctl passwd makes it")
		return
	}
	if err != nil {
		bad(reason(err).Error(), "")
		return
	}
	var st unix.Stat_t
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
		if unix.Stat(dir, &st) == nil && st.Mode&0o002 != 0 {
			bad("lies in "+quote(dir)+", which is world-writable", shut(dir))
			return
		}
	}
	if err := unix.Stat(real, &st); err != nil {
		bad(err.Error(), "")
		return
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		bad("is no regular file", "")
	case st.Mode&0o002 != 0:
		bad("is world-writable", "chmod o-w "+path)
	case st.Mode&0o004 != 0 && !insecure:
		bad("is world-readable, and it holds password hashes", "chmod o-r "+path)
	case st.Uid != 0 && int(st.Uid) != c.euid:
		bad(fmt.Sprintf("belongs to uid %d", st.Uid), "it must belong to root or to who starts the server")
	case unix.Access(real, unix.R_OK) != nil:
		bad("cannot be read", "")
	}
}

// pam wants the helper and the service file: without the file the library would
// take the service "other" instead.
func (c *checker) pam(a *policy.AuthHost) {
	switch {
	case !c.facts.Root:
		c.say(Error, "auth.order", "pam", "PAM accounts need root rights; without them there is only \"file\"", `write order = ["file"]`)
		return
	case !c.facts.PamHelper:
		c.say(Error, "auth.order", "pam", "the pam helper is not installed", `write order = ["file", "unix*"], or install it`)
		return
	}
	for _, dir := range c.pamDirs {
		path := filepath.Join(dir, a.PamService)
		if _, err := os.Stat(path); err == nil {
			c.stack(a.PamService, path, 0)
			return
		}
	}
	c.say(Error, "auth.pam.service", a.PamService, "there is no "+quote(filepath.Join(c.pamDirs[0], a.PamService)), "the package brings one for the service \"sallyport\"")
}

// reaches are PAM session modules whose work is bound to the process that calls
// them: they cannot reach the process that serves the files.
var reaches = map[string]string{
	"pam_limits.so":    "its limits hold for the PAM helper, not for the process that serves the files",
	"pam_namespace.so": "its directories are seen by the PAM helper alone",
	"pam_umask.so":     "the umask of sessions is the option umask",
	"pam_env.so":       "its variables reach nobody",
	"pam_chroot.so":    "the root of sessions is the option root",
	"pam_cap.so":       "its capabilities reach nobody",
	"pam_selinux.so":   "its context reaches the PAM helper alone",
	"pam_keyinit.so":   "its keyring belongs to the PAM helper alone",
}

// stack warns of session modules that cannot do what they are there for. It
// follows @include, include and substack, at most 8 deep.
func (c *checker) stack(service, path string, depth int) {
	f, err := os.Open(path)
	if err != nil || depth > 8 {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		w := strings.Fields(strings.SplitN(lines.Text(), "#", 2)[0])
		if len(w) == 2 && w[0] == "@include" {
			c.stack(service, filepath.Join(filepath.Dir(path), filepath.Base(w[1])), depth+1)
			continue
		}
		if len(w) < 3 || strings.TrimPrefix(w[0], "-") != "session" {
			continue
		}
		if w[1] == "include" || w[1] == "substack" {
			c.stack(service, filepath.Join(filepath.Dir(path), filepath.Base(w[2])), depth+1)
			continue
		}
		i := slices.IndexFunc(w, func(s string) bool { return strings.HasSuffix(s, ".so") })
		if i < 0 {
			continue
		}
		if what := reaches[filepath.Base(w[i])]; what != "" {
			c.say(Warning, "auth.pam.service", service, fmt.Sprintf("%s in %s:%d: %s", filepath.Base(w[i]), path, n, what), "")
		}
	}
}
