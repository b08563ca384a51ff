package access

import (
	"net/netip"

	"sallyport/internal/policy"
)

// Rules is a compiled policy. It is built once and then only read.
type Rules struct {
	p       *policy.Policy
	classes classes
	byAddr  map[netip.Addr]*policy.Host
	byPort  map[netip.AddrPort]*policy.Host
	roots   map[*policy.Settings][]root
}

// New compiles p, which must not change afterwards. What config refuses but p
// holds all the same (a regular expression that is none) fits nobody, and a root
// list with such an entry gives nobody a root.
func New(p *policy.Policy) *Rules {
	r := &Rules{
		p: p, classes: newClasses(p.Classes),
		byAddr: map[netip.Addr]*policy.Host{}, byPort: map[netip.AddrPort]*policy.Host{},
		roots: map[*policy.Settings][]root{},
	}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		for _, a := range h.Address {
			if ap, err := netip.ParseAddrPort(a); err == nil {
				setFirst(r.byPort, plainPort(ap), h)
			} else if ip, err := netip.ParseAddr(a); err == nil {
				setFirst(r.byAddr, plain(ip), h)
			}
		}
		r.roots[&h.Base] = newRoots(&h.Base)
		for j := range h.ByClass {
			s := &h.ByClass[j].Settings
			r.roots[s] = newRoots(s)
		}
	}
	return r
}

func setFirst[K comparable](m map[K]*policy.Host, k K, h *policy.Host) {
	if m[k] == nil {
		m[k] = h
	}
}

// plain makes addresses comparable: IPv4 in IPv6 form is IPv4, zones go.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func plainPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(plain(a.Addr()), a.Port())
}

// Class returns the name of the first class that fits the client's address, or
// "".
func (r *Rules) Class(client netip.Addr) string {
	if i := r.classes.first(plain(client)); i >= 0 {
		return r.p.Classes[i].Name
	}
	return ""
}

// HostFor returns the virtual host of connections to the address local: the one
// that names address and port, else the one that names the address, else the
// default host. The policy must have one.
func (r *Rules) HostFor(local netip.AddrPort) *policy.Host {
	local = plainPort(local)
	if h := r.byPort[local]; h != nil {
		return h
	}
	if h := r.byAddr[local.Addr()]; h != nil {
		return h
	}
	return &r.p.Hosts[0]
}
