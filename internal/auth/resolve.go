package auth

import (
	"fmt"
	"regexp"
	"slices"

	"sallyport/internal/crypt"
	"sallyport/internal/policy"
	"sallyport/internal/userfile"
)

// everyName is the alias for every name that is no account.
const everyName = "*"

// names is what a host makes of the names that clients type.
type names struct {
	alias     map[string]string
	anonymous map[string]*anonymous
	passwords map[string]string // hashes in place of the sources'
	hashes    []string          // those of them that a password can match
}

// anonymous is a compiled anonymous block.
type anonymous struct {
	policy.AnonymousAuth
	reject *regexp.Regexp // nil: every password is as good
}

func newNames(p *policy.AuthHost) (names, error) {
	n := names{alias: make(map[string]string), anonymous: make(map[string]*anonymous), passwords: make(map[string]string)}
	for _, a := range p.Aliases {
		if _, again := n.alias[a.Name]; !again {
			n.alias[a.Name] = a.User
		}
	}
	for _, line := range p.Passwords {
		name, hash, ok := cutHash(line)
		if !ok {
			return n, fmt.Errorf("user_password: %q is no name:hash", name)
		}
		n.passwords[name] = hash
		n.hashes = appendHash(n.hashes, hash, p.LegacyHashes)
	}
	for i := range p.Anonymous {
		b := &anonymous{AnonymousAuth: p.Anonymous[i]}
		if b.Reject != "" {
			var err error
			if b.reject, err = regexp.Compile(b.Reject); err != nil {
				return n, fmt.Errorf("anonymous block of %s: password filter: %w", b.User, err)
			}
		}
		for _, name := range b.Names {
			if _, again := n.anonymous[name]; again || b.AliasOnly && name == b.User {
				continue
			}
			n.anonymous[name] = b
		}
	}
	return n, nil
}

// cutHash takes "name:hash" apart; a hash may hold no colon.
func cutHash(line string) (name, hash string, ok bool) {
	for i := range line {
		if line[i] == ':' {
			return line[:i], line[i+1:], userfile.ValidName(line[:i]) == nil && line[i+1:] != ""
		}
	}
	return line, "", false
}

// who is what a typed name stands for.
type who struct {
	name      string     // of the account whose password counts
	anonymous *anonymous // nil: an ordinary login
	alias     bool
	any       bool // by "*": the client may not have meant it
}

// resolve tells what a typed name stands for. Names that are written down come
// first: those of anonymous blocks, then aliases; "*" takes what is no account.
func (h *Host) resolve(typed string) who {
	if b := h.anonymous[typed]; b != nil && typed != everyName {
		return b.who(typed, false)
	}
	if user := h.alias[typed]; user != "" && typed != everyName {
		return h.aliased(typed, user, false)
	}
	b, user := h.anonymous[everyName], h.alias[everyName]
	if b == nil && user == "" || h.known(typed) {
		return who{name: typed}
	}
	if b != nil {
		return b.who(typed, true)
	}
	return h.aliased(typed, user, true)
}

// aliased is the account behind an alias, which may be an anonymous block's.
func (h *Host) aliased(typed, user string, any bool) who {
	if b := h.anonymous[user]; b != nil && b.User == user {
		w := b.who(typed, any)
		w.alias = true
		return w
	}
	return who{name: user, alias: true, any: any}
}

func (b *anonymous) who(typed string, any bool) who {
	w := who{name: b.User, anonymous: b, alias: true, any: any}
	if b.UsingAlias {
		w.name = typed
	}
	return w
}

// known tells whether any source has, or may have, an account of the name.
// Accounts that libc alone knows (sssd, LDAP) are not seen from here.
func (h *Host) known(name string) bool {
	for _, s := range h.sources {
		if s.pam {
			if users, _ := get(h.store, h.libc.passwd); users.ByName(name) != nil {
				return true
			}
			continue
		}
		if s.accounts == nil {
			continue
		}
		if _, what := s.lookup(name, h.now()); what != absent {
			return true
		}
	}
	return false
}

// identity looks up the account of an anonymous block: in the sources that are
// asked for logins, then in the system's files, since the configuration names it.
func (h *Host) identity(name string) (*Account, answer) {
	for _, s := range h.sources {
		if s.accounts == nil {
			continue
		}
		if a, what := s.lookup(name, h.now()); what != absent {
			return a, what
		}
	}
	a, what := (&unixSource{store: h.store, sys: h.sys}).lookup(name, h.now())
	if what == out && a != nil { // no shadow entry: no password of it is asked for
		what = found
	}
	return a, what
}

// as returns the account with the block's group in place of its own.
func (h *Host) as(a *Account, group string) (*Account, error) {
	if group == "" {
		return a, nil
	}
	gid, ok := uint32(0), false
	for _, s := range h.sources {
		if s.accounts == nil || ok {
			continue
		}
		gid, ok = s.groupID(group)
	}
	if !ok {
		get(h.store, h.sys.group)
		if gid, ok = groupID(h.sys.group, group); !ok {
			return nil, fmt.Errorf("group %s is not known", group)
		}
	}
	b := *a
	b.GID, b.GroupNames = gid, []string{group}
	b.Groups = slices.DeleteFunc(slices.Clone(a.Groups), func(g uint32) bool { return g == gid })
	for _, g := range b.Groups {
		if n := h.groupName(g); n != "" {
			b.GroupNames = append(b.GroupNames, n)
		}
	}
	return &b, nil
}

// groupName is GroupName without a look at the files.
func (h *Host) groupName(gid uint32) string {
	if n := h.name(func(a accounts) string { return a.groupName(gid) }, func() string { return groupName(h.libc.group, gid) }); n != "" {
		return n
	}
	return groupName(h.sys.group, gid)
}

// overridden gives an account the password that the configuration has for it.
func (h *Host) overridden(a *Account) *Account {
	if hash := h.passwords[a.User]; hash != "" {
		b := *a
		b.hash = hash
		return &b
	}
	return a
}

// usable tells whether a password can match the hash.
func (h *Host) usable(hash string) bool {
	return crypt.Check(hash, crypt.Options{Legacy: h.Policy.LegacyHashes}) == nil
}
