package access

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/policy"
)

func addresses(match string, items ...string) policy.Addresses {
	a := policy.Addresses{Match: match}
	for _, s := range items {
		not := s[0] == '!'
		if not {
			s = s[1:]
		}
		a.Items = append(a.Items, policy.AddressItem{Not: not, Prefix: s})
	}
	return a
}

func TestClass(t *testing.T) {
	r := New(&policy.Policy{Classes: []policy.Class{
		{Name: "one", From: addresses("any", "192.0.2.1/32", "2001:db8::1/128")},
		{Name: "lan", From: addresses("any", "10.0.0.0/8", "2001:db8:1::/48", "!10.9.9.9/32", "!2001:db8:1:ff::/64")},
		{Name: "both", From: addresses("all", "172.16.0.0/12", "172.16.0.0/16", "!172.16.5.0/24")},
		{Name: "mapped", From: addresses("any", "::ffff:198.51.100.0/120")},
		{Name: "broken", From: addresses("any", "rubbish", "203.0.113.1/32", "!more rubbish")},
		{Name: "rest4", From: addresses("all", "0.0.0.0/0", "!10.9.9.9/32")},
		{Name: "not", From: addresses("all", "!10.9.9.9/32", "!2001:db8:9::/48")},
		{Name: "all", From: addresses("any", "all", "!10.9.9.9/32")},
	}})
	for addr, want := range map[string]string{
		"192.0.2.1": "one", "::ffff:192.0.2.1": "one", "2001:db8::1": "one",
		"10.1.2.3": "lan", "2001:db8:1:2::3": "lan", "10.9.9.9": "", "::ffff:10.9.9.9": "",
		"2001:db8:1:ff::1": "not",
		"172.16.1.1":       "both", "172.16.5.1": "rest4", "172.17.1.1": "rest4",
		"198.51.100.7": "mapped", "203.0.113.1": "rest4",
		"2001:db8:9::1": "all", "fe80::1%eth0": "not",
	} {
		if got := r.Class(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	if got := New(&policy.Policy{}).Class(netip.MustParseAddr("10.0.0.1")); got != "" {
		t.Errorf("no classes, and still %q", got)
	}
	if got := r.Class(netip.Addr{}); got != "" && got != "not" {
		t.Errorf("no address: %q", got)
	}
}

// TestClassIsTheDefinition compares the table with the definition, item by item.
func TestClassIsTheDefinition(t *testing.T) {
	prefixes := []string{"all", "0.0.0.0/0", "::/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.1/32", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1/128"}
	clients := []string{"10.1.1.1", "10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8:1::1", "2001:db8:2::1", "2001:db9::1"}
	rapid.Check(t, func(t *rapid.T) {
		var p policy.Policy
		for i := range rapid.IntRange(0, 5).Draw(t, "classes") {
			c := policy.Class{Name: string(rune('a' + i)), From: policy.Addresses{Match: rapid.SampledFrom([]string{"any", "all"}).Draw(t, "match")}}
			for range rapid.IntRange(1, 4).Draw(t, "items") {
				c.From.Items = append(c.From.Items, policy.AddressItem{Not: rapid.Bool().Draw(t, "not"), Prefix: rapid.SampledFrom(prefixes).Draw(t, "prefix")})
			}
			p.Classes = append(p.Classes, c)
		}
		a := netip.MustParseAddr(rapid.SampledFrom(clients).Draw(t, "client"))
		want := ""
		for _, c := range p.Classes {
			if fitsByDefinition(c.From, a) {
				want = c.Name
				break
			}
		}
		if got := New(&p).Class(a); got != want {
			t.Fatalf("%v of %+v: %q, want %q", a, p.Classes, got, want)
		}
	})
}

func fitsByDefinition(s policy.Addresses, a netip.Addr) bool {
	plain, fit := 0, 0
	for _, i := range s.Items {
		ok := i.Prefix == "all" || netip.MustParsePrefix(orNone(i.Prefix)).Contains(a)
		switch {
		case i.Not && ok:
			return false
		case i.Not:
		default:
			plain++
			if ok {
				fit++
			}
		}
	}
	return s.Match == "all" && fit == plain || s.Match != "all" && fit > 0
}

func orNone(s string) string {
	if s == "all" {
		return "0.0.0.0/0"
	}
	return s
}

func TestHostFor(t *testing.T) {
	r := New(&policy.Policy{Hosts: []policy.Host{
		{Name: "default"},
		{Name: "v4", Address: []string{"192.0.2.1", "::ffff:192.0.2.9"}},
		{Name: "port", Address: []string{"192.0.2.1:2121", "[2001:db8::2]:2121"}},
		{Name: "v6", Address: []string{"2001:db8::1", "192.0.2.1"}},
	}})
	for local, want := range map[string]string{
		"192.0.2.1:21": "v4", "[::ffff:192.0.2.1]:21": "v4", "192.0.2.9:1": "v4", "192.0.2.1:2121": "port", "[::ffff:192.0.2.1]:2121": "port",
		"[2001:db8::1]:21": "v6", "[2001:db8::2]:2121": "port", "[2001:db8::2]:21": "default", "127.0.0.1:21": "default", "[2001:db8::1%lo]:21": "v6",
	} {
		if got := r.HostFor(netip.MustParseAddrPort(local)).Name; got != want {
			t.Errorf("%s: %s, want %s", local, got, want)
		}
	}
}

func items(names ...string) []policy.Item {
	var out []policy.Item
	for _, n := range names {
		not := n[0] == '!'
		if not {
			n = n[1:]
		}
		out = append(out, policy.Item{Not: not, Name: n})
	}
	return out
}

func TestSelector(t *testing.T) {
	alice := Subject{User: "alice", Groups: []string{"users", "web"}, Class: "lan"}
	nobody := Subject{}
	for _, c := range []struct {
		sel          policy.Selector
		alice, empty bool
	}{
		{policy.Selector{}, true, true},
		{policy.Selector{User: items("alice")}, true, false},
		{policy.Selector{User: items("bob")}, false, false},
		{policy.Selector{User: items("*")}, true, false},
		{policy.Selector{Group: items("web")}, true, false},
		{policy.Selector{Group: items("users", "!web")}, false, false},
		{policy.Selector{Group: items("!ops")}, false, false},
		{policy.Selector{Group: items("!ops"), Match: "all"}, true, true},
		{policy.Selector{Group: items("*", "!ops")}, true, false},
		{policy.Selector{Group: items("users", "web"), Match: "all"}, true, false},
		{policy.Selector{Group: items("users", "ops"), Match: "all"}, false, false},
		{policy.Selector{User: items("bob"), Group: items("web")}, true, false},
		{policy.Selector{User: items("bob"), Group: items("web"), Match: "all"}, false, false},
		{policy.Selector{User: items("!alice"), Group: items("web")}, false, false},
		{policy.Selector{Class: items("lan")}, true, false},
		{policy.Selector{Class: items("!*"), Match: "all"}, false, true},
		{policy.Selector{User: items("^al", "!x"), Match: "regex"}, true, false},
		{policy.Selector{User: items("^al", "!ice$"), Match: "regex"}, false, false},
		{policy.Selector{Group: items("^we"), Match: "regex"}, true, false},
		{policy.Selector{Class: items("LAN"), Match: "regex"}, false, false},
	} {
		s, err := CompileSelector(&c.sel)
		if err != nil {
			t.Fatal(err)
		}
		if s.Fits(alice) != c.alice || s.Fits(nobody) != c.empty {
			t.Errorf("%+v: alice %v, nobody %v", c.sel, s.Fits(alice), s.Fits(nobody))
		}
	}
	if _, err := CompileSelector(&policy.Selector{Match: "regex", User: items("(")}); err == nil {
		t.Error("\"(\" is a regular expression")
	}
}

func TestRootFor(t *testing.T) {
	p := &policy.Policy{Hosts: []policy.Host{{Base: policy.Settings{Roots: []policy.Root{
		{Path: "/srv/www", Selector: policy.Selector{Group: items("web")}},
		{Path: "/srv/users/%u/./in", Selector: policy.Selector{Group: items("named")}},
		{Path: "~/ftp//x", Selector: policy.Selector{User: items("sub")}},
		{Path: "none", Selector: policy.Selector{User: items("refused")}},
		{Path: "relative", Selector: policy.Selector{User: items("odd")}},
		{Path: "/", Selector: policy.Selector{Class: items("admin")}},
		{Path: "~", Selector: policy.Selector{User: items("!last"), Match: "all"}},
	}}}}}
	s := &p.Hosts[0].Base
	r := New(p)
	for _, c := range []struct {
		u     User
		class string
		want  string
		ok    bool
	}{
		{User{Name: "a", Home: "/home/a"}, "", "/home/a", true},
		{User{Name: "a", Home: "/home/a/../b/"}, "", "/home/b", true},
		{User{Name: "a", Home: "home"}, "", "", false},
		{User{Name: "a"}, "", "", false},
		{User{Name: "a", Home: "/home/a", Groups: []string{"x", "web"}}, "", "/srv/www", true},
		{User{Name: "a", Groups: []string{"named"}}, "", "/srv/users/a/in", true},
		{User{Name: "a b", Groups: []string{"named"}}, "", "/srv/users/a b/in", true},
		{User{Name: "..", Groups: []string{"named"}}, "", "", false},
		{User{Name: ".", Groups: []string{"named"}}, "", "", false},
		{User{Name: "a/b", Groups: []string{"named"}}, "", "", false},
		{User{Name: "a\x00", Groups: []string{"named"}}, "", "", false},
		{User{Name: "sub", Home: "/home/sub"}, "", "/home/sub/ftp/x", true},
		{User{Name: "refused", Home: "/"}, "", "", false},
		{User{Name: "odd", Home: "/"}, "", "", false},
		{User{Name: "a", Home: "/home/a"}, "admin", "/", true},
		{User{Name: "last", Home: "/home/last"}, "", "", false},
		{User{Name: "last", Home: "/home/last"}, "admin", "/", true},
	} {
		for _, set := range []*policy.Settings{s, {Roots: s.Roots}} { // compiled, and not seen before
			got, ok := r.RootFor(set, c.u, c.class)
			if got != c.want || ok != c.ok {
				t.Errorf("%+v of class %q: %q %v, want %q %v", c.u, c.class, got, ok, c.want, c.ok)
			}
		}
	}
	broken := policy.Settings{Roots: []policy.Root{{Path: "/a", Selector: policy.Selector{Match: "regex", User: items("(")}}, {Path: "/"}}}
	if got, ok := r.RootFor(&broken, User{Name: "a"}, ""); ok {
		t.Errorf("a list with a broken pattern gives %q", got)
	}
}

// BenchmarkClass shows that a look-up does not grow with the number of prefixes.
func BenchmarkClass(b *testing.B) {
	for _, n := range []int{1, 1000} {
		p := &policy.Policy{}
		for i := range n {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
			p.Classes = append(p.Classes, policy.Class{Name: a.String(), From: addresses("any", netip.PrefixFrom(a, 24).String())})
		}
		r, a := New(p), netip.MustParseAddr("10.3.200.9")
		b.Run(map[int]string{1: "1", 1000: "1000"}[n], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Class(a)
			}
		})
	}
}
