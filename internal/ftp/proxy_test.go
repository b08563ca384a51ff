package ftp

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// proxy2 makes a header of version 2.
func proxy2(command, family byte, body ...byte) string {
	b := append(bytes.Clone(proxySignature), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(append(b, body...))
}

var (
	v4body = []byte{192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x41, 0, 21}
	v6body = append(append(append(netip6("2001:db8::7"), netip6("2001:db8::1")...), 0x9c, 0x41), 0, 21)
	mapped = append(append(append(netip6("::ffff:192.0.2.7"), netip6("::ffff:198.51.100.1")...), 0x9c, 0x41), 0, 21)
)

func netip6(a string) []byte { return []byte(net.ParseIP(a).To16()) }

var proxyHeaders = []struct {
	name, header string
	want         ipc.ProxyHeader
	bad          bool
}{
	{"1 TCP4", "PROXY TCP4 192.0.2.7 198.51.100.1 40001 21\r\n", ipc.ProxyHeader{Peer: "192.0.2.7:40001", To: "198.51.100.1:21"}, false},
	{"1 TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 40001 21\r\n", ipc.ProxyHeader{Peer: "[2001:db8::7]:40001", To: "[2001:db8::1]:21"}, false},
	{"1 mapped", "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 40001 21\r\n", ipc.ProxyHeader{Peer: "192.0.2.7:40001", To: "198.51.100.1:21"}, false},
	{"1 UNKNOWN", "PROXY UNKNOWN\r\n", ipc.ProxyHeader{Local: true}, false},
	{"1 UNKNOWN and the longest line", "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", ipc.ProxyHeader{Local: true}, false},
	{"1 too long", "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n", ipc.ProxyHeader{}, true},
	{"1 without CR", "PROXY TCP4 192.0.2.7 198.51.100.1 40001 21\n", ipc.ProxyHeader{}, true},
	{"1 LF early", "PROXY UNKNOW\n\n\r\n", ipc.ProxyHeader{}, true},
	{"1 two blanks", "PROXY TCP4 192.0.2.7  198.51.100.1 40001 21\r\n", ipc.ProxyHeader{}, true},
	{"1 a field too many", "PROXY TCP4 192.0.2.7 198.51.100.1 40001 21 x\r\n", ipc.ProxyHeader{}, true},
	{"1 another family", "PROXY TCP4 2001:db8::7 2001:db8::1 40001 21\r\n", ipc.ProxyHeader{}, true},
	{"1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 40001 21\r\n", ipc.ProxyHeader{}, true},
	{"1 port 65536", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 21\r\n", ipc.ProxyHeader{}, true},
	{"1 port 007", "PROXY TCP4 192.0.2.7 198.51.100.1 007 21\r\n", ipc.ProxyHeader{}, true},
	{"1 port 0", "PROXY TCP4 192.0.2.7 198.51.100.1 0 21\r\n", ipc.ProxyHeader{}, true},
	{"1 from 0.0.0.0", "PROXY TCP4 0.0.0.0 198.51.100.1 40001 21\r\n", ipc.ProxyHeader{}, true},
	{"1 UDP", "PROXY UDP4 192.0.2.7 198.51.100.1 40001 21\r\n", ipc.ProxyHeader{}, true},
	{"1 lower case", "proxy tcp4 192.0.2.7 198.51.100.1 40001 21\r\n", ipc.ProxyHeader{}, true},
	{"2 TCP4", proxy2(0x21, 0x11, v4body...), ipc.ProxyHeader{Peer: "192.0.2.7:40001", To: "198.51.100.1:21"}, false},
	{"2 TCP6", proxy2(0x21, 0x21, v6body...), ipc.ProxyHeader{Peer: "[2001:db8::7]:40001", To: "[2001:db8::1]:21"}, false},
	{"2 mapped", proxy2(0x21, 0x21, mapped...), ipc.ProxyHeader{Peer: "192.0.2.7:40001", To: "198.51.100.1:21"}, false},
	{"2 with extensions", proxy2(0x21, 0x11, append(bytes.Clone(v4body), make([]byte, proxyMost-len(v4body))...)...), ipc.ProxyHeader{Peer: "192.0.2.7:40001", To: "198.51.100.1:21"}, false},
	{"2 LOCAL", proxy2(0x20, 0), ipc.ProxyHeader{Local: true}, false},
	{"2 LOCAL with addresses", proxy2(0x20, 0x11, v4body...), ipc.ProxyHeader{Local: true}, false},
	{"2 unspecified", proxy2(0x21, 0), ipc.ProxyHeader{Local: true}, false},
	{"2 too long", proxy2(0x21, 0x11, make([]byte, proxyMost+1)...), ipc.ProxyHeader{}, true},
	{"2 addresses cut", proxy2(0x21, 0x11, v4body[:11]...), ipc.ProxyHeader{}, true},
	{"2 datagrams", proxy2(0x21, 0x12, v4body...), ipc.ProxyHeader{}, true},
	{"2 UNIX", proxy2(0x21, 0x31, make([]byte, 216)...), ipc.ProxyHeader{}, true},
	{"2 another command", proxy2(0x22, 0x11, v4body...), ipc.ProxyHeader{}, true},
	{"2 another version", proxy2(0x11, 0x11, v4body...), ipc.ProxyHeader{}, true},
	{"FTP", "USER anonymous\r\nPASS x\r\n", ipc.ProxyHeader{}, true},
	{"HTTP", "GET / HTTP/1.1\r\n\r\n", ipc.ProxyHeader{}, true},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00\x00", ipc.ProxyHeader{}, true},
}

// bytesOf gives a stream's bytes, so many at a time.
type bytesOf struct {
	b    []byte
	step int
}

func (f *bytesOf) get(b []byte, peek bool) (int, error) {
	if peek {
		if len(f.b) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		return copy(b[:min(len(b), f.step)], f.b), nil
	}
	n := copy(b, f.b)
	f.b = f.b[n:]
	if n < len(b) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// TestProxyHeaders reads each header whole and in pieces, and nothing beyond it.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range proxyHeaders {
		for _, step := range []int{1, 3, 1000} {
			f := &bytesOf{[]byte(c.header + "NOOP\r\n"), step}
			h, err := readProxy(f.get)
			if (err != nil) != c.bad {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if d := cmp.Diff(c.want, h); d != "" {
				t.Errorf("%s: %s", c.name, d)
			}
			if !c.bad && string(f.b) != "NOOP\r\n" {
				t.Errorf("%s: %q is left of NOOP", c.name, f.b)
			}
		}
	}
	for _, c := range proxyHeaders {
		if c.bad {
			continue
		}
		for n := range len(c.header) {
			f := &bytesOf{[]byte(c.header[:n]), 1000}
			if h, err := readProxy(f.get); err == nil {
				t.Errorf("%s cut after %d bytes: %+v", c.name, n, h)
			}
		}
	}
}

// TestNoProxyHeaderIsKnownEarly: who sends a few bytes of something else is not
// waited for.
func TestNoProxyHeaderIsKnownEarly(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"U", "QUIT\r\n", "PROXX", "\r\n\r\nN", "\x16\x03\x01"} {
		if _, err := readProxy((&bytesOf{[]byte(c), 1000}).get); !errors.Is(err, errProxy) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// FuzzProxyHeader: no input is read beyond the bounds, and what is accepted are
// addresses.
func FuzzProxyHeader(f *testing.F) {
	for _, c := range proxyHeaders {
		f.Add([]byte(c.header), uint8(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		in := &bytesOf{b, int(step) + 1}
		h, err := readProxy(in.get)
		if err != nil {
			if h != (ipc.ProxyHeader{}) {
				t.Errorf("%+v beside %v", h, err)
			}
			return
		}
		if used := len(b) - len(in.b); used > proxyFixed+proxyMost || used < proxyShortest {
			t.Errorf("%d bytes were read", used)
		}
		if h.Local != (h.Peer == "") || h.Local != (h.To == "") {
			t.Errorf("%+v", h)
		}
		if _, err := ipc.SessionLane.Encode(h); err != nil {
			t.Error(err)
		}
	})
}

// heard is what master was told.
type heard struct {
	mu sync.Mutex
	h  []ipc.ProxyHeader
}

func (l *heard) add(h ipc.ProxyHeader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.h = append(l.h, h)
}

func (l *heard) all() []ipc.ProxyHeader {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.h)
}

// proxiedBy plays a master that believes every proxy.
func proxiedBy(o *setup, headers *heard, refuse bool) {
	o.Proxy, o.Ungreet = true, true
	o.Lane = func(w *world, q any) (ipc.HostSelected, *policy.Session) {
		h := q.(*ipc.ProxyHeader)
		headers.add(*h)
		if refuse {
			return ipc.HostSelected{Refused: true}, nil
		}
		view := w.o.View
		view.Ident = "for " + h.Peer
		return ipc.HostSelected{Host: "one", Peer: h.Peer, Local: h.To}, &view
	}
}

// TestProxy: the header first, then everything as it always is.
func TestProxy(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		o, _ := withTLS()
		var headers heard
		proxiedBy(&o, &headers, false)
		o.Implicit = implicit
		w := begin(t, o)
		header := "PROXY TCP4 192.0.2.7 198.51.100.1 40001 21\r\n"
		if implicit { // a client hello follows at once
			w.client = &prefixed{w.client, header}
			must(t, w.cover(tlsClient(tls.VersionTLS13)))
		} else {
			w.send(header + "NOOP\r\n")
		}
		w.next("220 for 192.0.2.7:40001")
		if !implicit {
			w.next("200 NOOP")
			w.want("220 HOST command successful", "HOST 198.51.100.1") // the address that was called
		}
		w.want("331", "USER ann")
		if d := cmp.Diff([]ipc.ProxyHeader{{Peer: "192.0.2.7:40001", To: "198.51.100.1:21"}}, headers.all()); d != "" {
			t.Error(d)
		}
	}
}

// prefixed sends a prefix with the first bytes.
type prefixed struct {
	net.Conn
	prefix string
}

func (p *prefixed) Write(b []byte) (int, error) {
	_, err := p.Conn.Write(append([]byte(p.prefix), b...))
	p.prefix = ""
	return len(b), err
}

// TestProxyRefused: without a right header there is not a byte to be had.
func TestProxyRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		send   string
		refuse bool
		told   int
	}{
		{"PROXY TCP4 192.0.2.7 198.51.100.1 40001 21\r\n", true, 1},
		{"USER anonymous\r\nPASS x\r\n", false, 0},
		{"PROXY TCP4 localhost 198.51.100.1 40001 21\r\n", false, 0},
	} {
		o := ordinary()
		var headers heard
		proxiedBy(&o, &headers, c.refuse)
		w := begin(t, o)
		w.send(c.send)
		w.ended()
		<-w.lost
		if told := headers.all(); len(told) != c.told {
			t.Errorf("%q: master was told %v", c.send, told)
		}
	}
	o := ordinary()
	var headers heard
	proxiedBy(&o, &headers, false)
	w := begin(t, o)
	w.send("PROXY TCP4 192")
	must(t, w.client.(*net.TCPConn).CloseWrite())
	w.ended()
	w = begin(t, o)
	w.send("PROXY TCP4 192")
	w.tell(ipc.End{})
	w.ended()
}
