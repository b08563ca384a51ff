package main

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/unit"
)

// listener is one listening socket.
type listener struct {
	label     string
	protocol  string
	tls       string
	proxy     []netip.Prefix // only connections from here are taken, and owe a PROXY header; none: any, without
	fd        int
	asked     netip.AddrPort // as configured; the port may be 0
	address   netip.AddrPort // bound
	inherited bool           // handed down by systemd: it stays open when the service stops
}

// controlBacklog is the accept queue asked for; the kernel's somaxconn bounds it.
const controlBacklog = 4096

// openListeners returns the listeners of a configuration. A socket that is
// there already - inherited, or in use by the configuration in force - is
// kept, so that no connection is refused meanwhile. On an error everything
// newly opened is closed again.
func openListeners(p *policy.Policy, inherited []unit.Socket, have []*listener) ([]*listener, error) {
	var all, fresh []*listener
	fail := func(err error) ([]*listener, error) {
		for _, l := range fresh {
			unix.Close(l.fd)
		}
		return nil, err
	}
	for _, cfg := range p.Listeners {
		if ours := adoptInherited(cfg, inherited); len(ours) > 0 {
			all = append(all, ours...)
			continue
		}
		for _, text := range cfg.Address {
			ap, err := netip.ParseAddrPort(text)
			if err != nil {
				return fail(fmt.Errorf("listener %q: address %q: %w", cfg.Label, text, err))
			}
			if old := findListener(have, ap); old != nil {
				all = append(all, shaped(cfg, &listener{fd: old.fd, asked: ap, address: old.address}))
				continue
			}
			l, err := newListener(cfg, ap)
			if err != nil {
				return fail(fmt.Errorf("listener %q: listen on %s: %w", cfg.Label, text, err))
			}
			all, fresh = append(all, l), append(fresh, l)
		}
	}
	if len(all) == 0 {
		return fail(fmt.Errorf("no listener is configured"))
	}
	return all, nil
}

func newListener(cfg policy.Listener, ap netip.AddrPort) (*listener, error) {
	fd, err := listenTCP(ap, controlBacklog)
	if err != nil {
		return nil, err
	}
	bound, err := localAddr(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return shaped(cfg, &listener{fd: fd, asked: ap, address: bound}), nil
}

// shaped gives a socket what the configuration says of its listener. A prefix
// that is none trusts nobody: then the listener takes no connection at all.
func shaped(cfg policy.Listener, l *listener) *listener {
	l.label, l.protocol, l.tls = cfg.Label, cfg.Protocol, cfg.TLS
	for _, text := range cfg.Proxy {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			p = netip.Prefix{}
		}
		l.proxy = append(l.proxy, p)
	}
	return l
}

// trusts tells whether PROXY headers from a are believed.
func (l *listener) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range l.proxy {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func findListener(have []*listener, ap netip.AddrPort) *listener {
	for _, l := range have {
		if !l.inherited && l.asked == ap {
			return l
		}
	}
	return nil
}

// adoptInherited returns the sockets that systemd handed down for a listener.
func adoptInherited(cfg policy.Listener, inherited []unit.Socket) []*listener {
	var ours []*listener
	for _, s := range inherited {
		if s.Label != cfg.Label {
			continue
		}
		ours = append(ours, shaped(cfg, &listener{fd: s.FD, asked: s.Addr, address: s.Addr, inherited: true}))
	}
	return ours
}

// labels are the names that systemd's sockets may have.
func labels(p *policy.Policy) []string {
	var l []string
	for _, x := range p.Listeners {
		l = append(l, x.Label)
	}
	return l
}

// watchListeners starts or stops accepting.
func (m *master) watchListeners() error {
	for _, l := range m.listeners {
		m.loop.del(l.fd)
		if err := m.loop.add(l.fd, unix.EPOLLIN, func(uint32) { m.accepting(l) }); err != nil {
			return fmt.Errorf("listener %q: %w", l.label, err)
		}
	}
	return nil
}

func (m *master) unwatchListeners() {
	for _, l := range m.listeners {
		m.loop.del(l.fd)
	}
}

// readyLine names every listener with the port it got.
func readyLine(ls []*listener) string {
	var b strings.Builder
	b.WriteString("sallyport: ready")
	for _, l := range ls {
		fmt.Fprintf(&b, " %s=%s", l.label, l.address)
	}
	return b.String()
}
