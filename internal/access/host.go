package access

import (
	"net/netip"
	"strings"

	"sallyport/internal/policy"
)

// hosts finds the virtual host of a connection: by the address that was called,
// then by the name the client says. Hosts that name no address are reached by
// name at every address that no other host names.
type hosts struct {
	all    []policy.Host
	byAddr map[netip.Addr]*policy.Host // the first that names it
	byPort map[netip.AddrPort]*policy.Host
	names  map[place]*policy.Host
}

// place is a name at an address: with a port, without (port 0), or at all those
// that no host names (no address).
type place struct {
	addr netip.AddrPort
	name string
}

func newHosts(list []policy.Host) hosts {
	h := hosts{
		all: list, byAddr: map[netip.Addr]*policy.Host{}, byPort: map[netip.AddrPort]*policy.Host{},
		names: map[place]*policy.Host{},
	}
	for i := range list {
		host := &list[i]
		if len(host.Address) == 0 {
			h.name(netip.AddrPort{}, host)
		}
		for _, a := range host.Address {
			if ap, err := netip.ParseAddrPort(a); err == nil {
				ap = plainPort(ap)
				setFirst(h.byPort, ap, host)
				h.name(ap, host)
			} else if ip, err := netip.ParseAddr(a); err == nil {
				ip = plain(ip)
				setFirst(h.byAddr, ip, host)
				h.name(netip.AddrPortFrom(ip, 0), host)
			}
		}
	}
	return h
}

func (h *hosts) name(at netip.AddrPort, host *policy.Host) {
	for _, n := range host.Names {
		setFirst(h.names, place{at, strings.ToLower(n)}, host)
	}
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

// HostFor returns the virtual host of connections to the address local: the one
// that names address and port, else the one that names the address, else the
// default host. The policy must have one.
func (r *Rules) HostFor(local netip.AddrPort) *policy.Host {
	local = plainPort(local)
	if h := r.hosts.byPort[local]; h != nil {
		return h
	}
	if h := r.hosts.byAddr[local.Addr()]; h != nil {
		return h
	}
	return &r.hosts.all[0]
}

// HostByName returns the virtual host that a client means who called the address
// local and says name (HOST, RFC 7151; server_name, RFC 6066 section 3), or nil
// where none at this address has that name. Upper and lower case are the same, a
// final dot does not count. A name as it is comes before "*.example.org", which
// stands for one label more; a host that names the port comes before one that
// names the address alone.
func (r *Rules) HostByName(local netip.AddrPort, name string) *policy.Host {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > 253 || name[0] == '*' || name[0] == '.' {
		return nil
	}
	local = plainPort(local)
	at := [2]netip.AddrPort{local, netip.AddrPortFrom(local.Addr(), 0)}
	places := at[:]
	if r.hosts.byPort[local] == nil && r.hosts.byAddr[local.Addr()] == nil {
		places = []netip.AddrPort{{}}
	}
	_, rest, dotted := strings.Cut(name, ".")
	for _, p := range places {
		if h := r.hosts.names[place{p, name}]; h != nil {
			return h
		}
		if h := r.hosts.names[place{p, "*." + rest}]; h != nil && dotted {
			return h
		}
	}
	return nil
}
