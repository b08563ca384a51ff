package main

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

// TestActiveTargets holds RFC 2577: no bounce, no service port, even where
// foreign addresses are allowed.
func TestActiveTargets(t *testing.T) {
	for _, c := range []struct {
		target, peer, local string
		foreign             bool
		ok                  bool
	}{
		{"192.0.2.7:2000", "192.0.2.7", "192.0.2.1", false, true},
		{"192.0.2.7:1024", "192.0.2.7", "192.0.2.1", false, true},
		{"192.0.2.7:1023", "192.0.2.7", "192.0.2.1", false, false},
		{"192.0.2.7:25", "192.0.2.7", "192.0.2.1", true, false},
		{"192.0.2.7:0", "192.0.2.7", "192.0.2.1", true, false},
		{"192.0.2.8:2000", "192.0.2.7", "192.0.2.1", false, false},
		{"192.0.2.8:2000", "192.0.2.7", "192.0.2.1", true, true},
		{"127.0.0.1:2000", "127.0.0.1", "127.0.0.1", false, true}, // the peer itself
		{"[::1]:2000", "::1", "::1", false, true},
		{"127.0.0.1:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"127.9.9.9:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"192.0.2.1:2000", "192.0.2.7", "192.0.2.1", true, false}, // our own
		{"0.0.0.0:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"224.0.0.1:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"255.255.255.255:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"169.254.169.254:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"[2001:db8::8]:2000", "192.0.2.7", "192.0.2.1", true, false},
		{"[2001:db8::8]:2000", "2001:db8::7", "2001:db8::1", false, false},
		{"[2001:db8::8]:2000", "2001:db8::7", "2001:db8::1", true, true},
		{"[ff02::1]:2000", "2001:db8::7", "2001:db8::1", true, false},
		{"[::]:2000", "2001:db8::7", "2001:db8::1", true, false},
	} {
		why := refuseTarget(netip.MustParseAddrPort(c.target), netip.MustParseAddr(c.peer), netip.MustParseAddr(c.local), c.foreign)
		if (why == "") != c.ok {
			t.Errorf("target %s, peer %s, foreign %v: %q", c.target, c.peer, c.foreign, why)
		}
	}
}

// TestPassiveRangeIsStrict: every port of the range is found, in whatever
// order, and then none outside it.
func TestPassiveRangeIsStrict(t *testing.T) {
	m := &master{busy: map[portKey]bool{}}
	local := netip.MustParseAddr("127.0.0.1")
	r := freeRange(t, local, 8)
	seen := map[uint16]bool{}
	var open []int
	defer func() { closeAll(open) }()
	for range int(r.Max-r.Min) + 1 {
		fd, port, err := m.listenPassive(local, r)
		if err != nil {
			t.Fatalf("after %d of the range: %v", len(seen), err)
		}
		open = append(open, fd)
		if port < r.Min || port > r.Max || seen[port] {
			t.Fatalf("port %d: outside %d-%d or given twice", port, r.Min, r.Max)
		}
		seen[port] = true
	}
	if fd, port, err := m.listenPassive(local, r); errno(err) != uint32(unix.EADDRINUSE) {
		unix.Close(fd)
		t.Fatalf("full range: port %d, error %v", port, err)
	}
	m.busy[portKey{local, r.Min}] = true
	closeAll(open)
	open = nil
	for range 20 { // the busy table is believed
		fd, port, err := m.listenPassive(local, r)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		if port == r.Min {
			t.Fatal("a port of the busy table was tried")
		}
	}
}

// freeRange finds n neighboring ports that nobody uses just now.
func freeRange(t *testing.T, a netip.Addr, n int) policy.Passive {
	t.Helper()
	for base := uint16(20000); base < 32000; base += uint16(n) {
		var fds []int
		for i := range n {
			fd, err := listenTCP(netip.AddrPortFrom(a, base+uint16(i)), 1)
			if err != nil {
				break
			}
			fds = append(fds, fd)
		}
		closeAll(fds)
		if len(fds) == n {
			return policy.Passive{Min: base, Max: base + uint16(n) - 1}
		}
	}
	t.Fatal("no free range of ports")
	return policy.Passive{}
}
