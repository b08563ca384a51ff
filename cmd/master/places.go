package main

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/internal/policy"
)

// places counts logins and transfers for the limits of logged-in clients. Like
// the census it is changed on the loop alone, so that looking and taking are one
// step; whatever is asked costs the same, however many sessions there are.
type places struct {
	all      map[realm]uint32
	byClass  map[hostName]uint32 // virtual host and class
	byAddr   map[realmAddr]uint32
	byUser   map[realmUser]uint32
	byBoth   map[userAddr]uint32  // sessions of a user from one address
	addrs    map[realmUser]uint32 // different addresses of a user
	fromAddr map[hostAddr]uint32  // transfers
	ofUser   map[hostUser]uint32
}

// realm is whose logins are counted together: those of a virtual host, or those
// of one of its anonymous accounts.
type realm struct{ host, anonymous string }

type (
	hostName  struct{ host, name string }
	realmAddr struct {
		realm
		addr netip.Addr
	}
	realmUser struct {
		realm
		user string
	}
	userAddr struct {
		realmUser
		addr netip.Addr
	}
	hostAddr struct {
		host, command string
		addr          netip.Addr
	}
	hostUser struct{ host, command, user string }
)

// place is what one login takes, from the moment its identity is accepted to
// the end of its session. The fields are exported for the state of an upgrade.
type place struct {
	Host      string
	Anonymous string // account of an anonymous login; "" for other ones
	User      string
	Class     string
	Addr      netip.Addr // zero: a proxy's own connection, which counts by no address
}

func newPlaces() places {
	return places{
		all: map[realm]uint32{}, byClass: map[hostName]uint32{}, byAddr: map[realmAddr]uint32{}, byUser: map[realmUser]uint32{},
		byBoth: map[userAddr]uint32{}, addrs: map[realmUser]uint32{}, fromAddr: map[hostAddr]uint32{}, ofUser: map[hostUser]uint32{},
	}
}

// overLimit is a limit that has no room: its name in the log and in the
// configuration's sense, the count, and the words for the client.
type overLimit struct {
	name  string
	count uint32
	text  string
}

func over(name string, l policy.Limit, std string) *overLimit {
	return &overLimit{name, l.Count, limitText(l, std)}
}

// claim takes the place, or says which limit has none left. perClass is the
// limit of the virtual host even where the login is an anonymous one, whose
// other limits are of its block and count the logins of its account.
func (p *places) claim(x place, limits *policy.Clients, perClass policy.Limit) *overLimit {
	r := realm{x.Host, x.Anonymous}
	u := realmUser{r, x.User}
	full := func(l policy.Limit, n uint32) bool { return l.Count > 0 && n >= l.Count }
	switch {
	case x.Class != "" && full(perClass, p.byClass[hostName{x.Host, x.Class}]):
		return over("MaxClientsPerClass", perClass, "Sorry, the maximum number of clients (%m) from your class are already connected.")
	case x.Addr.IsValid() && full(limits.PerHost, p.byAddr[realmAddr{r, x.Addr}]):
		return over("MaxClientsPerHost", limits.PerHost, "Sorry, the maximum number of clients (%m) from your host are already connected.")
	case full(limits.PerUser, p.byUser[u]):
		return over("MaxClientsPerUser", limits.PerUser, "Sorry, the maximum number of clients (%m) for this user are already connected.")
	case full(limits.Clients, p.all[r]):
		return over("MaxClients", limits.Clients, "Sorry, the maximum number of allowed clients (%m) are already connected.")
	case x.Addr.IsValid() && p.byBoth[userAddr{u, x.Addr}] == 0 && full(limits.HostsPerUser, p.addrs[u]):
		return over("MaxHostsPerUser", limits.HostsPerUser, "Sorry, the maximum number of hosts (%m) for this user are already connected.")
	}
	p.take(x)
	return nil
}

// realms are the realms that a login is counted in: always the virtual host's,
// besides that the anonymous account's.
func (x *place) realms() []realm {
	r := []realm{{x.Host, ""}, {x.Host, x.Anonymous}}
	if x.Anonymous == "" {
		return r[:1]
	}
	return r
}

// take counts a place whatever the limits say.
func (p *places) take(x place) {
	p.byClass[hostName{x.Host, x.Class}]++
	for _, r := range x.realms() {
		u := realmUser{r, x.User}
		p.all[r]++
		p.byUser[u]++
		if x.Addr.IsValid() {
			p.byAddr[realmAddr{r, x.Addr}]++
			if p.byBoth[userAddr{u, x.Addr}]++; p.byBoth[userAddr{u, x.Addr}] == 1 {
				p.addrs[u]++
			}
		}
	}
}

// free gives a place back.
func (p *places) free(x place) {
	decrement(p.byClass, hostName{x.Host, x.Class})
	for _, r := range x.realms() {
		u := realmUser{r, x.User}
		decrement(p.all, r)
		decrement(p.byUser, u)
		if x.Addr.IsValid() {
			decrement(p.byAddr, realmAddr{r, x.Addr})
			if decrement(p.byBoth, userAddr{u, x.Addr}); p.byBoth[userAddr{u, x.Addr}] == 0 {
				decrement(p.addrs, u)
			}
		}
	}
}

// begin counts a transfer of the place's session, or says which limit has no
// room: only transfers by the same command are counted, whatever commands a
// limit names.
func (p *places) begin(x *place, command string, limits *policy.Clients) *overLimit {
	a, u := hostAddr{x.Host, command, x.Addr}, hostUser{x.Host, command, x.User}
	find := func(list []policy.TransferLimit, n uint32) *policy.Limit {
		for i := range list {
			if l := &list[i]; l.Count > 0 && n >= l.Count && slices.Contains(l.Commands, command) {
				return &policy.Limit{Count: l.Count, Message: l.Message}
			}
		}
		return nil
	}
	if l := find(limits.TransfersPerHost, p.fromAddr[a]); l != nil && x.Addr.IsValid() {
		return over("MaxTransfersPerHost", *l, "Sorry, the maximum number of data transfers (%m) from your host are currently being used.")
	}
	if l := find(limits.TransfersPerUser, p.ofUser[u]); l != nil {
		return over("MaxTransfersPerUser", *l, "Sorry, the maximum number of data transfers (%m) from this user are currently being used.")
	}
	p.beginAnyway(x, command)
	return nil
}

func (p *places) beginAnyway(x *place, command string) {
	p.fromAddr[hostAddr{x.Host, command, x.Addr}]++
	p.ofUser[hostUser{x.Host, command, x.User}]++
}

// end takes a transfer out.
func (p *places) end(x *place, command string) {
	decrement(p.fromAddr, hostAddr{x.Host, command, x.Addr})
	decrement(p.ofUser, hostUser{x.Host, command, x.User})
}

// empty tells whether nothing is counted.
func (p *places) empty() bool {
	return len(p.all)+len(p.byClass)+len(p.byAddr)+len(p.byUser)+len(p.byBoth)+len(p.addrs)+len(p.fromAddr)+len(p.ofUser) == 0
}

// limitText is the words of a limit: those of the configuration, else std. %m is
// the count. They are one line of at most 512 bytes.
func limitText(l policy.Limit, std string) string {
	text := l.Message
	if text == "" {
		text = std
	}
	return clip(oneLine(strings.ReplaceAll(text, "%m", itoa(l.Count))), 512)
}

// oneLine takes out what would end a reply's line, or worse.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
