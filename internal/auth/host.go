package auth

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/policy"
)

// Host is how one virtual host (and class) authenticates.
type Host struct {
	Name   string
	Policy policy.AuthHost

	store   *store
	sys     *system // of the policy's SystemDir
	libc    *system // what libc reads, for pam
	sources []source
	names
	key    []byte     // picks the decoy hash of an unknown name
	shadow unixSource // of libc: what a PAM stack computes
	now    func() time.Time
	looked time.Time // when names were last refreshed
}

// source is one item of the order. accounts is nil for pam, and for a file
// source without a file.
type source struct {
	name  string
	final bool
	pam   bool
	accounts
}

// NewHosts compiles authd's view. What an administrator must know of the files
// goes to say, now and at every later change; the second result is what makes a
// host unable to serve as configured (an unknown source, a PAM service without
// its file). etc is where PAM and libc have their files, "/etc".
func NewHosts(view policy.Authd, etc string, say func(string)) (map[string]*Host, []error) {
	hosts := make(map[string]*Host, len(view.Hosts))
	st := newStore(say)
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	var errs []error
	for i := range view.Hosts {
		h, err := newHost(view.Hosts[i], etc, st, key)
		if err != nil {
			errs = append(errs, err)
		}
		hosts[h.Name] = h
	}
	return hosts, errs
}

// newHost always returns a host; what of it cannot work refuses.
func newHost(p policy.AuthHost, etc string, st *store, key []byte) (*Host, error) {
	if p.SystemDir == "" {
		p.SystemDir = etc
	}
	h := &Host{
		Name: p.Name, Policy: p, store: st, sys: st.systemFiles(p.SystemDir), libc: st.systemFiles(etc), key: key, now: time.Now,
	}
	h.shadow = unixSource{store: st, sys: h.libc, legacy: true}
	var first error
	if h.names, first = newNames(&p); first != nil {
		first = fmt.Errorf("authentication of host %s: %w", p.Name, first)
	}
	for _, o := range p.Order {
		s := source{name: o.Name, final: o.Final}
		var err error
		switch o.Name {
		case "file":
			if f := newFileSource(st, &p); f != nil {
				s.accounts = f
				get(st, f.users) // so that it is reported at start
				f.groupList()
			}
		case "unix":
			s.accounts = &unixSource{store: st, sys: h.sys, legacy: p.LegacyHashes}
			get(st, h.sys.passwd)
			get(st, h.sys.shadow)
		case "pam":
			s.pam = true
			err = checkPam(filepath.Join(etc, "pam.d"), p.PamService)
		default:
			err = fmt.Errorf("unknown source %q", o.Name)
		}
		if err != nil {
			s = source{name: o.Name, final: true, accounts: broken{}}
			if first == nil {
				first = fmt.Errorf("authentication of host %s: %w", p.Name, err)
			}
		}
		h.sources = append(h.sources, s)
	}
	return h, first
}

// checkPam refuses a service without a file of its own: the library would take
// the stack "other" for it.
func checkPam(dir, name string) error {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("PAM service %q is no file name", name)
	}
	path := filepath.Join(dir, name)
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("PAM service %s: %w", name, err)
	case !st.Mode().IsRegular() || st.Mode()&fs.ModePerm&0o002 != 0:
		return fmt.Errorf("PAM service %s: %q is not a regular file or is world-writable", name, path)
	}
	return nil
}

// broken is a source that cannot be asked; its host fails closed.
type broken struct{}

func (broken) lookup(string, time.Time) (*Account, answer) { return nil, out }
func (broken) hashes() []string                            { return nil }
func (broken) kinds() []string                             { return nil }
func (broken) refresh()                                    {}
func (broken) userName(uint32) string                      { return "" }
func (broken) groupName(uint32) string                     { return "" }
func (broken) groupID(string) (uint32, bool)               { return 0, false }

// UserName returns the name that the host's sources have for a uid, or "". It
// looks at the files at most once a second: listings ask for many.
func (h *Host) UserName(uid uint32) string {
	h.refresh()
	return h.name(func(a accounts) string { return a.userName(uid) }, func() string { return userName(h.libc.passwd, uid) })
}

// GroupName returns the name that the host's sources have for a gid, or "".
func (h *Host) GroupName(gid uint32) string {
	h.refresh()
	return h.name(func(a accounts) string { return a.groupName(gid) }, func() string { return groupName(h.libc.group, gid) })
}

// GroupID returns the gid that the host's sources have for a group's name.
func (h *Host) GroupID(name string) (gid uint32, ok bool) {
	h.refresh()
	h.name(func(a accounts) string {
		if gid, ok = a.groupID(name); ok {
			return name
		}
		return ""
	}, func() string {
		if gid, ok = groupID(h.libc.group, name); ok {
			return name
		}
		return ""
	})
	return gid, ok
}

func (h *Host) refresh() {
	now := h.now()
	if d := now.Sub(h.looked); d >= 0 && d < time.Second {
		return
	}
	h.looked = now
	for _, s := range h.sources {
		if s.accounts != nil {
			s.refresh()
		}
		if s.pam {
			h.libc.refresh(h.store)
		}
	}
}

// name asks the sources in their order; pam means the system's files, which is
// what can be known of it without libc.
func (h *Host) name(of func(accounts) string, system func() string) string {
	for _, s := range h.sources {
		n := ""
		switch {
		case s.pam:
			n = system()
		case s.accounts != nil:
			n = of(s.accounts)
		}
		if n != "" {
			return n
		}
	}
	return ""
}
