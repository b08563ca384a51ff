package ftp

import (
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// maxHost is the longest name of a host in bytes (RFC 1035 §2.3.4, as text).
const maxHost = 253

// host is HOST (RFC 7151): the client says which of the servers at this address
// it means. Master chooses, after SNI among the names of the host that it chose
// then; the answer is the greeting of that host.
func host(s *Session, arg string) {
	name := strings.TrimSpace(arg)
	switch {
	case words(arg) != 1:
		s.reply(500, "'HOST' not understood")
		return
	case s.user != "", s.tls.had && s.tls.sni == "":
		s.reply(503, "Bad sequence of commands")
		return
	}
	if literal, ok := strings.CutPrefix(name, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(literal, "]") {
			s.reply(501, name, ": Invalid IPv6 address provided")
			return
		}
		s.hostByAddress(name, a)
		return
	}
	if strings.Contains(name, ":") {
		s.reply(501, name, ": Invalid hostname provided")
		return
	}
	if a, err := netip.ParseAddr(name); err == nil {
		s.hostByAddress(name, a)
		return
	}
	s.hostByName(name)
}

const textNoHost = ": Unknown hostname provided"

// hostByAddress takes the address that the client has called: it says nothing new.
func (s *Session) hostByAddress(name string, a netip.Addr) {
	if a.Unmap() != s.local.Addr().Unmap() {
		s.reply(504, name, textNoHost)
		return
	}
	s.named = ""
	s.reply(220, "HOST command successful")
}

func (s *Session) hostByName(name string) {
	if s.tls.sni != "" && strings.EqualFold(name, s.tls.sni) { // what the handshake said already
		s.named = ""
		s.greet()
		return
	}
	if len(name) > maxHost {
		s.reply(504, name, textNoHost)
		return
	}
	r, fds, ok := call[ipc.HostSelected](s, ipc.SelectHost{Name: name, By: ipc.ByHOST})
	switch {
	case !ok:
	case r.Refused:
		closeFDs(fds)
		s.reply(504, name, ": ", r.Text)
	case s.adopt(r, fds):
		s.named = ""
		s.tls.user = "" // authd has forgotten the certificate with the former host
		s.greet()
	}
}

// adopt takes a host from master: its view, and how the client is to be seen.
func (s *Session) adopt(r *ipc.HostSelected, fds []int) bool {
	if len(fds) != 1 {
		closeFDs(fds)
		s.leave("master: a host without a view")
		return false
	}
	var v policy.Session
	err := ipc.ReadBlob(fds[0], &v)
	_ = unix.Close(fds[0])
	if err != nil {
		s.broken("view", err)
		return false
	}
	peer, err := netip.ParseAddrPort(r.Peer)
	if err != nil {
		s.broken("master: peer", err)
		return false
	}
	local, err := netip.ParseAddrPort(r.Local)
	if err != nil {
		s.broken("master: local address", err)
		return false
	}
	s.view, s.host, s.class, s.peer, s.local = v, r.Host, r.Class, peer, local
	s.viewChanged()
	s.ascii = v.TransferMode != "binary"
	s.in.setLimit(min(s.lineLimit(), preAuthLine))
	return true
}

// greet sends the greeting of the host.
func (s *Session) greet() {
	s.show(220, &policy.DisplayFile{Text: s.view.Display.Connect})
	s.reply(220, s.view.Ident)
}
