package main

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/policy"
)

func TestOriginIsAddressOrPrefix(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"2001:db8:1:2::", "2001:db8:1:2::"},
		{"fe80::1%eth0", "fe80::"},
	} {
		if got := origin(netip.MustParseAddr(c.in)).String(); got != c.want {
			t.Errorf("origin(%s) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestCapsRefuseOneByOne(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	six1, six2 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff")
	never := func(uint32) uint32 { return ^uint32(0) }
	enter := func(addrs ...netip.Addr) census {
		c := newCensus()
		for _, x := range addrs {
			c.enter("default", x)
		}
		return c
	}
	for _, c := range []struct {
		name   string
		global policy.Global
		census census
		from   netip.Addr
		dice   func(uint32) uint32
		want   string
	}{
		{"nothing is limited", policy.Global{}, enter(a, a, a), a, never, ""},
		{"instances", policy.Global{MaxInstances: 2}, enter(a, b), a, never, refusedInstances},
		{"one place left", policy.Global{MaxInstances: 3}, enter(a, b), a, never, ""},
		{"address", policy.Global{UnauthPerAddress: 2}, enter(a, a), a, never, refusedOrigin},
		{"another address", policy.Global{UnauthPerAddress: 2}, enter(a, a), b, never, ""},
		{"one /64 is one origin", policy.Global{UnauthPerPrefix: 2}, enter(six1, six1), six2, never, refusedOrigin},
		{"in all", policy.Global{Unauthenticated: 4}, enter(a, a, b, b), a, never, refusedUnauth},
		{"below half nobody is dropped", policy.Global{Unauthenticated: 4}, enter(a, b), a, func(uint32) uint32 { return 0 }, ""},
		{"above half some are", policy.Global{Unauthenticated: 4}, enter(a, b, b), a, func(uint32) uint32 { return 0 }, refusedUnauthEarly},
		{"above half some are not", policy.Global{Unauthenticated: 4}, enter(a, b, b), a, never, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.census.room(&c.global, c.from, c.dice); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestCensusBalances: whatever comes, logs in and goes, the books agree with a
// recount, and nothing is left of an empty house.
func TestCensusBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type conn struct {
			host string
			addr netip.Addr
			auth bool
		}
		addrs := []netip.Addr{
			netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
			netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"),
		}
		c := newCensus()
		var live []*conn
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch act := rapid.IntRange(0, 2).Draw(t, "act"); {
			case act == 0:
				x := &conn{host: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "host"), addr: rapid.SampledFrom(addrs).Draw(t, "addr")}
				c.enter(x.host, x.addr)
				live = append(live, x)
			case len(live) == 0:
			case act == 1:
				if x := live[rapid.IntRange(0, len(live)-1).Draw(t, "who")]; !x.auth {
					x.auth = true
					c.login(x.addr)
				}
			case act == 2:
				i := rapid.IntRange(0, len(live)-1).Draw(t, "who")
				c.leave(live[i].host, live[i].addr, live[i].auth)
				live = append(live[:i], live[i+1:]...)
			}
			unauth, perHost := uint32(0), map[hostKey]uint32{}
			for _, x := range live {
				if !x.auth {
					unauth++
				}
				perHost[hostKey{x.host, x.addr}]++
			}
			if c.live != uint32(len(live)) || c.unauth != unauth || len(c.byHost) != len(perHost) {
				t.Fatalf("books say %d live, %d not logged in, %d hosts; counted %d, %d, %d",
					c.live, c.unauth, len(c.byHost), len(live), unauth, len(perHost))
			}
			for k, n := range perHost {
				if c.byHost[k] != n {
					t.Fatalf("%v: %d, counted %d", k, c.byHost[k], n)
				}
			}
		}
		for _, x := range live {
			c.leave(x.host, x.addr, x.auth)
		}
		if c.live != 0 || c.unauth != 0 || len(c.byHost) != 0 || len(c.byOrigin) != 0 {
			t.Fatalf("left over: %+v", c)
		}
	})
}
