package ban

import (
	"fmt"
	"net/netip"
	"strings"

	"sallyport/shm"
)

// Kind is what a ban is about.
type Kind = shm.BanKind

// The kinds.
const (
	Host   = shm.BanAddress
	User   = shm.BanUser
	UserAt = shm.BanUserAt
	Class  = shm.BanClass
)

// KindNames are the kinds as commands and stores write them.
var KindNames = map[Kind]string{Host: "host", User: "user", UserAt: "user@host", Class: "class"}

// KindOf returns the kind that a command names.
func KindOf(name string) (Kind, bool) {
	for k, n := range KindNames {
		if n == name {
			return k, true
		}
	}
	return 0, false
}

// Forever is the expiry of a ban that does not end by itself.
const Forever = shm.Forever

// MaxName bounds a name in bytes; longer ones are never banned, since no login
// has one.
const MaxName = 320

// Key names a ban: there is at most one of each.
type Key struct {
	Kind   Kind
	Name   string       // of all but a host
	Prefix netip.Prefix // of a host
	Server string       // virtual host; "" for all
}

// String is the ban's name as commands show it.
func (k Key) String() string {
	if k.Kind != Host {
		return k.Name
	}
	if k.Prefix.IsSingleIP() {
		return k.Prefix.Addr().String()
	}
	return k.Prefix.String()
}

// Where a ban comes from.
const (
	ByRule  = "rule"
	ByAdmin = "admin"
	ByStore = "store" // another daemon's
)

// Ban is one entry of the list.
type Ban struct {
	Key
	Created int64 // Unix nanoseconds
	Expires int64 // Unix nanoseconds, or Forever
	Origin  string
	Reason  string // "MaxLoginAttempts autoban", "requested by 'root'"
	Message string // of the rule; "" for the general one
	Event   string // of the rule
	Count   uint32 // the event's count that banned
	Rule    string // file:line
	Node    string // of the store: address and port of the daemon that banned
	Times   uint32 // how often this was banned in a row, this time included
}

// Live tells whether the ban holds at Unix nanosecond now.
func (b *Ban) Live(now int64) bool { return b.Expires > now }

// Prefix parses the name of a host ban: an address or a prefix. IPv4 addresses
// in IPv6 form are the IPv4 addresses they mean; zones are refused.
func Prefix(name string) (netip.Prefix, error) {
	if strings.Contains(name, "/") {
		p, err := netip.ParsePrefix(name)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%q is no prefix", name)
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return netip.Prefix{}, fmt.Errorf("%q is no prefix of IPv4 addresses", name)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(name)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address", name)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// NameKey makes the key of a ban that an administrator or a store names.
func NameKey(kind Kind, name, server string) (Key, error) {
	k := Key{Kind: kind, Server: server}
	switch {
	case kind == Host:
		p, err := Prefix(name)
		k.Prefix = p
		return k, err
	case name == "" || len(name) > MaxName:
		return k, fmt.Errorf("a name of 1 to %d bytes is needed", MaxName)
	case kind == UserAt:
		user, at, ok := cutLast(name, '@')
		if !ok || user == "" {
			return k, fmt.Errorf("%q is no user@address", name)
		}
		p, err := Prefix(at)
		if err != nil || !p.IsSingleIP() {
			return k, fmt.Errorf("%q: what follows the @ must be an address", name)
		}
		name = user + "@" + p.Addr().String()
	}
	k.Name = name
	return k, nil
}

func cutLast(s string, c byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, c)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// At joins a login name and an address to the name of a user@host ban.
func At(user string, a netip.Addr) string { return user + "@" + a.Unmap().WithZone("").String() }

// Text puts the variables into a message: %a the address, %c the class, %u the
// user, each "(none)" where there is none.
func Text(message, addr, class, user string) string {
	none := func(s string) string {
		if s == "" {
			return "(none)"
		}
		return s
	}
	return strings.NewReplacer("%a", none(addr), "%c", none(class), "%u", none(user)).Replace(message)
}
