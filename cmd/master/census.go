package main

import (
	"math/rand/v2"
	"net/netip"

	"sallyport/internal/policy"
)

// census counts connections. It is master's own memory, changed on the loop
// alone, so that asking and counting are one step: of two clients that race
// for the last place exactly one gets it.
type census struct {
	live     uint32                // accepted and not yet gone
	unauth   uint32                // of these, not logged in
	byOrigin map[netip.Addr]uint32 // not logged in, by IPv4 address or IPv6 /64
	byHost   map[hostKey]uint32    // all, by virtual host and client address
}

type hostKey struct {
	host string
	addr netip.Addr
}

func newCensus() census {
	return census{byOrigin: map[netip.Addr]uint32{}, byHost: map[hostKey]uint32{}}
}

// origin is the unit in which unauthenticated connections are counted: an IPv4
// address, or an IPv6 /64, since a /64 is what one subscriber has.
func origin(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// Reasons of refusals at accept, as the log names them.
const (
	refusedInstances   = "MaxInstances"
	refusedRate        = "MaxConnectionRate"
	refusedUnauth      = "unauthenticated connections"
	refusedUnauthEarly = "unauthenticated connections, early drop"
	refusedOrigin      = "unauthenticated connections of one address"
	refusedHost        = "MaxConnectionsPerHost"
	refusedBan         = "banned"
	refusedProxy       = "no trusted proxy"
	refusedPool        = "no session free"
	refusedSystem      = "accept failed"
	refusedDescriptors = "descriptors used up"
)

// room tells whether one more unauthenticated connection from a may come; why
// is one of the refused constants. dice gives a number in [0, n).
func (c *census) room(g *policy.Global, a netip.Addr, dice func(n uint32) uint32) (why string) {
	if g.MaxInstances > 0 && c.live >= g.MaxInstances {
		return refusedInstances
	}
	if why := c.crowd(g, a); why != "" {
		return why
	}
	switch full, half := g.Unauthenticated, g.Unauthenticated/2; {
	case full == 0:
	case c.unauth >= full:
		return refusedUnauth
	case c.unauth > half && dice(full-half) < c.unauth-half:
		return refusedUnauthEarly
	}
	return ""
}

// crowd tells whether one more unauthenticated connection may come from a; no
// address (zero) has no limit.
func (c *census) crowd(g *policy.Global, a netip.Addr) (why string) {
	limit := g.UnauthPerAddress
	if !a.Is4() {
		limit = g.UnauthPerPrefix
	}
	if a.IsValid() && limit > 0 && c.byOrigin[origin(a)] >= limit {
		return refusedOrigin
	}
	return ""
}

func randomBelow(n uint32) uint32 { return rand.Uint32N(n) }

// enter counts an unauthenticated connection. One without an address (zero), a
// trusted proxy's, counts in all alone.
func (c *census) enter(host string, a netip.Addr) {
	c.live++
	c.unauth++
	c.seat(host, a)
}

// seat counts an unauthenticated connection by its address.
func (c *census) seat(host string, a netip.Addr) {
	if a.IsValid() {
		c.byHost[hostKey{host, a}]++
		c.byOrigin[origin(a)]++
	}
}

// move counts an unauthenticated connection by another virtual host or address.
func (c *census) move(host string, a netip.Addr, toHost string, to netip.Addr) {
	if a.IsValid() {
		decrement(c.byHost, hostKey{host, a})
		decrement(c.byOrigin, origin(a))
	}
	c.seat(toHost, to)
}

// login moves a connection to the authenticated ones.
func (c *census) login(a netip.Addr) {
	c.unauth--
	if a.IsValid() {
		decrement(c.byOrigin, origin(a))
	}
}

// leave takes a connection out.
func (c *census) leave(host string, a netip.Addr, authenticated bool) {
	c.live--
	if a.IsValid() {
		decrement(c.byHost, hostKey{host, a})
	}
	if !authenticated {
		c.login(a)
	}
}

func decrement[K comparable](m map[K]uint32, k K) {
	if m[k] <= 1 {
		delete(m, k)
	} else {
		m[k]--
	}
}
