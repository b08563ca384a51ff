package ftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// The PROXY protocol, versions 1 and 2: a header in front of everything else by
// which a proxy says whom it speaks for. Whether the proxy is to be believed is
// master's business; here it is read, and not a byte more than it.

// Bounds of a header, in bytes.
const (
	proxyShortest = 15 // "PROXY UNKNOWN\r\n"; version 2 has 16 and more
	proxyLine     = 107
	proxyFixed    = 16
	proxyMost     = 536 // of what follows the 16
)

// How the two versions begin.
var (
	proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")
	proxyWord      = []byte("PROXY ")
)

var errProxy = errors.New("malformed PROXY header")

// proxy reads the header and tells master. A client without a right one is hung
// up on without a word.
func (s *Session) proxy() {
	h, err := readProxy(s.proxyBytes)
	if s.over() {
		return
	}
	if err != nil {
		s.event(ipc.EventBadProtocol, err.Error())
		s.leave("PROXY: " + err.Error())
		return
	}
	r, fds, ok := call[ipc.HostSelected](s, h)
	switch {
	case !ok:
	case r.Refused:
		closeFDs(fds)
		if r.Text != "" && !s.implicit { // a TLS client could not read it
			s.reply(530, r.Text)
		}
		s.leave("PROXY header refused by master")
	default:
		s.adopt(r, fds)
	}
}

// proxyBytes fills b from the client's connection, however long that takes:
// master has a deadline. With peek it looks at what is there, at least a byte,
// and leaves it.
func (s *Session) proxyBytes(b []byte, peek bool) (int, error) {
	flags := unix.MSG_DONTWAIT
	if peek {
		flags |= unix.MSG_PEEK
	}
	for n := 0; ; {
		m, _, err := unix.Recvfrom(s.ctl.fd(), b[n:], flags)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			s.await(unix.POLLIN, -1, 0, forever)
			if s.over() {
				return 0, errOver
			}
		case err != nil:
			return 0, err
		case m == 0:
			return 0, errors.New("end within the PROXY header")
		default:
			if n += m; peek || n == len(b) {
				return n, nil
			}
		}
	}
}

// readProxy takes a header off a stream: get fills a buffer, or looks.
func readProxy(get func(b []byte, peek bool) (int, error)) (ipc.ProxyHeader, error) {
	var b [proxyFixed + proxyMost]byte
	n := 0
	for n < proxyShortest {
		m, err := get(b[n:proxyShortest], true)
		if err == nil {
			_, err = get(b[n:n+m], false)
		}
		if err != nil {
			return ipc.ProxyHeader{}, err
		}
		if n += m; !begins(b[:n], proxyWord) && !begins(b[:n], proxySignature) {
			return ipc.ProxyHeader{}, errProxy // it is known before all of it is there
		}
	}
	if b[0] == proxySignature[0] {
		return readProxy2(b[:], get)
	}
	for !bytes.HasSuffix(b[:n], []byte("\r\n")) {
		if n == proxyLine || bytes.IndexByte(b[:n], '\n') >= 0 {
			return ipc.ProxyHeader{}, errProxy
		}
		m, err := get(b[n:proxyLine], true)
		if err != nil {
			return ipc.ProxyHeader{}, err
		}
		if i := bytes.IndexByte(b[n:n+m], '\n'); i >= 0 {
			m = i + 1
		}
		if _, err := get(b[n:n+m], false); err != nil {
			return ipc.ProxyHeader{}, err
		}
		n += m
	}
	return parseProxy1(string(b[:n-2]))
}

// begins tells whether b, as far as it goes, begins as start does.
func begins(b, start []byte) bool {
	n := min(len(b), len(start))
	return bytes.Equal(b[:n], start[:n])
}

// parseProxy1 reads "PROXY TCP4 from to port port", one blank between.
func parseProxy1(line string) (ipc.ProxyHeader, error) {
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return ipc.ProxyHeader{Local: true}, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return ipc.ProxyHeader{}, errProxy
	}
	var at [2]netip.AddrPort
	for i := range at {
		a, err := netip.ParseAddr(f[2+i])
		p, ok := proxyPort(f[4+i])
		if err != nil || !ok || a.Is4() != (f[1] == "TCP4") || a.Zone() != "" {
			return ipc.ProxyHeader{}, errProxy
		}
		at[i] = netip.AddrPortFrom(a, p)
	}
	return proxied(at[0], at[1])
}

// proxyPort reads a port as the protocol writes it: no sign, no leading zero.
func proxyPort(t string) (uint16, bool) {
	n, err := strconv.ParseUint(t, 10, 16)
	return uint16(n), err == nil && strconv.FormatUint(n, 10) == t
}

// readProxy2 reads the binary form; b holds its first bytes.
func readProxy2(b []byte, get func(b []byte, peek bool) (int, error)) (ipc.ProxyHeader, error) {
	if _, err := get(b[proxyShortest:proxyFixed], false); err != nil {
		return ipc.ProxyHeader{}, err
	}
	n := int(binary.BigEndian.Uint16(b[14:]))
	if n > proxyMost {
		return ipc.ProxyHeader{}, errProxy
	}
	rest := b[proxyFixed : proxyFixed+n]
	if n > 0 {
		if _, err := get(rest, false); err != nil {
			return ipc.ProxyHeader{}, err
		}
	}
	return parseProxy2(b[12], b[13], rest)
}

// parseProxy2 reads what follows the signature: version and command, family,
// addresses. Whatever extensions say is nothing to us.
func parseProxy2(command, family byte, rest []byte) (ipc.ProxyHeader, error) {
	size := 0 // of an address
	switch family {
	case 0x11:
		size = 4
	case 0x21:
		size = 16
	}
	switch {
	case command == 0x20, command == 0x21 && family == 0:
		return ipc.ProxyHeader{Local: true}, nil
	case command != 0x21, size == 0, len(rest) < 2*size+4:
		return ipc.ProxyHeader{}, errProxy
	}
	from, _ := netip.AddrFromSlice(rest[:size])
	to, _ := netip.AddrFromSlice(rest[size : 2*size])
	ports := rest[2*size:]
	return proxied(netip.AddrPortFrom(from, binary.BigEndian.Uint16(ports)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(ports[2:])))
}

func proxied(from, to netip.AddrPort) (ipc.ProxyHeader, error) {
	if from.Port() == 0 || from.Addr().IsUnspecified() || from.Addr().IsMulticast() {
		return ipc.ProxyHeader{}, errProxy
	}
	return ipc.ProxyHeader{Peer: plainAddr(from), To: plainAddr(to)}, nil
}

// plainAddr writes an address as master does: v4-mapped ones as IPv4.
func plainAddr(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}
