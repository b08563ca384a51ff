package main

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/policy"
)

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("192.0.2.2")
	addrC = netip.MustParseAddr("2001:db8::3")
)

// TestClientLimitsHaveTheirWords: each limit refuses the first login beyond it,
// in the words of its own, and in the order in which they are looked at.
func TestClientLimitsHaveTheirWords(t *testing.T) {
	one, own := policy.Limit{Count: 1}, policy.Limit{Count: 2, Message: "Full:\r\n%m of %m"}
	ann := place{Host: "h", User: "ann", Class: "lan", Addr: addrA}
	for _, c := range []struct {
		name     string
		there    []place
		limits   policy.Clients
		perClass policy.Limit
		comes    place
		want     string // name of the limit
		text     string
	}{
		{"nothing is limited", []place{ann, ann}, policy.Clients{}, policy.Limit{}, ann, "", ""},
		{
			"class",
			[]place{{Host: "h", User: "bob", Class: "lan", Addr: addrB}},
			policy.Clients{},
			one, ann, "MaxClientsPerClass",
			"Sorry, the maximum number of clients (1) from your class are already connected.",
		},
		{"another class", []place{{Host: "h", User: "bob", Class: "wan", Addr: addrB}}, policy.Clients{}, one, ann, "", ""},
		{"no class", []place{{Host: "h", User: "bob", Addr: addrB}}, policy.Clients{}, one, place{Host: "h", User: "ann", Addr: addrA}, "", ""},
		{
			"host",
			[]place{{Host: "h", User: "bob", Addr: addrA}},
			policy.Clients{PerHost: one},
			policy.Limit{},
			ann, "MaxClientsPerHost",
			"Sorry, the maximum number of clients (1) from your host are already connected.",
		},
		{"a proxy's own connections", []place{{Host: "h", User: "bob"}}, policy.Clients{PerHost: one, HostsPerUser: one}, policy.Limit{}, place{Host: "h", User: "bob"}, "", ""},
		{
			"user",
			[]place{{Host: "h", User: "ann", Addr: addrB}},
			policy.Clients{PerUser: one},
			policy.Limit{},
			ann, "MaxClientsPerUser",
			"Sorry, the maximum number of clients (1) for this user are already connected.",
		},
		{
			"all",
			[]place{{Host: "h", User: "bob", Addr: addrB}},
			policy.Clients{Clients: one},
			policy.Limit{},
			ann, "MaxClients",
			"Sorry, the maximum number of allowed clients (1) are already connected.",
		},
		{"another host", []place{{Host: "i", User: "ann", Class: "lan", Addr: addrA}}, policy.Clients{Clients: one, PerHost: one, PerUser: one, HostsPerUser: one}, one, ann, "", ""},
		{
			"hosts of a user",
			[]place{{Host: "h", User: "ann", Addr: addrB}},
			policy.Clients{HostsPerUser: one},
			policy.Limit{},
			ann, "MaxHostsPerUser",
			"Sorry, the maximum number of hosts (1) for this user are already connected.",
		},
		{"one host however often", []place{ann, ann, ann}, policy.Clients{HostsPerUser: one}, policy.Limit{}, ann, "", ""},
		{"sessions are no hosts", []place{{Host: "h", User: "ann", Addr: addrB}, {Host: "h", User: "ann", Addr: addrB}}, policy.Clients{HostsPerUser: policy.Limit{Count: 2}}, policy.Limit{}, ann, "", ""},
		{"own words", []place{ann, ann}, policy.Clients{Clients: own}, policy.Limit{}, ann, "MaxClients", "Full:  2 of 2"},
		{
			"the order",
			[]place{ann},
			policy.Clients{Clients: one, PerHost: one, PerUser: one, HostsPerUser: one},
			one, ann, "MaxClientsPerClass",
			"Sorry, the maximum number of clients (1) from your class are already connected.",
		},
		{
			"anonymous logins count by their account",
			[]place{ann},
			policy.Clients{Clients: one, PerHost: one},
			policy.Limit{},
			place{Host: "h", Anonymous: "ftp", User: "ftp", Addr: addrA},
			"", "",
		},
		{
			"and among themselves",
			[]place{{Host: "h", Anonymous: "ftp", User: "ftp", Addr: addrA}},
			policy.Clients{PerHost: one},
			policy.Limit{},
			place{Host: "h", Anonymous: "ftp", User: "ftp", Addr: addrA},
			"MaxClientsPerHost",
			"Sorry, the maximum number of clients (1) from your host are already connected.",
		},
		{
			"and are clients of the host",
			[]place{{Host: "h", Anonymous: "ftp", User: "ftp", Addr: addrB}},
			policy.Clients{Clients: one},
			policy.Limit{},
			ann, "MaxClients",
			"Sorry, the maximum number of allowed clients (1) are already connected.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlaces()
			for _, x := range c.there {
				p.take(x)
			}
			got := p.claim(c.comes, &c.limits, c.perClass)
			switch {
			case got == nil && c.want != "", got != nil && (got.name != c.want || got.text != c.text):
				t.Fatalf("got %+v, want %q %q", got, c.want, c.text)
			case got == nil:
				p.free(c.comes)
			}
			for _, x := range c.there {
				p.free(x)
			}
			if !p.empty() {
				t.Errorf("left over: %+v", p)
			}
		})
	}
}

// TestPlacesAgreeWithARecount: in any order of logins and ends, a login gets in
// exactly where a recount of the sessions says that no limit is reached, and an
// empty house has empty books.
func TestPlacesAgreeWithARecount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := func(name string) policy.Limit {
			return policy.Limit{Count: rapid.Uint32Range(0, 4).Draw(t, name)}
		}
		limits := policy.Clients{Clients: limit("clients"), PerHost: limit("per host"), PerUser: limit("per user"), HostsPerUser: limit("hosts per user")}
		perClass := limit("per class")
		p := newPlaces()
		var in []place
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(in) > 0 && rapid.Bool().Draw(t, "one ends") {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				p.free(in[i])
				in = append(in[:i:i], in[i+1:]...)
				continue
			}
			x := place{
				Host: rapid.SampledFrom([]string{"h", "i"}).Draw(t, "host"), User: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "user"),
				Class: rapid.SampledFrom([]string{"", "lan"}).Draw(t, "class"), Addr: rapid.SampledFrom([]netip.Addr{addrA, addrB, addrC, {}}).Draw(t, "address"),
			}
			if rapid.Bool().Draw(t, "anonymous") {
				x.User, x.Anonymous = "ftp", "ftp"
			}
			want := recount(in, x, &limits, perClass)
			got := p.claim(x, &limits, perClass)
			if (got == nil) != (want == "") || got != nil && got.name != want {
				t.Fatalf("%+v among %+v: %+v, a recount says %q", x, in, got, want)
			}
			if got == nil {
				in = append(in, x)
			}
		}
		for _, x := range in {
			p.free(x)
		}
		if !p.empty() {
			t.Fatalf("left over: %+v", p)
		}
	})
}

// recount is the definition, by looking at everybody.
func recount(in []place, x place, limits *policy.Clients, perClass policy.Limit) string {
	var class, host, user, all uint32
	addrs := map[netip.Addr]bool{x.Addr: true}
	for _, y := range in {
		if y.Host != x.Host {
			continue
		}
		if y.Class == x.Class && x.Class != "" {
			class++
		}
		if x.Anonymous != "" && y.Anonymous != x.Anonymous {
			continue
		}
		all++
		if y.Addr == x.Addr {
			host++
		}
		if y.User == x.User {
			user++
			if y.Addr.IsValid() {
				addrs[y.Addr] = true
			}
		}
	}
	full := func(l policy.Limit, n uint32) bool { return l.Count > 0 && n >= l.Count }
	switch {
	case full(perClass, class):
		return "MaxClientsPerClass"
	case full(limits.PerHost, host) && x.Addr.IsValid():
		return "MaxClientsPerHost"
	case full(limits.PerUser, user):
		return "MaxClientsPerUser"
	case full(limits.Clients, all):
		return "MaxClients"
	case x.Addr.IsValid() && limits.HostsPerUser.Count > 0 && uint32(len(addrs)) > limits.HostsPerUser.Count:
		return "MaxHostsPerUser"
	}
	return ""
}

// TestTransferLimitsCountTheSameCommand: RETR and STOR are never added up, even
// where one limit names both.
func TestTransferLimitsCountTheSameCommand(t *testing.T) {
	p := newPlaces()
	ann, far, bob := &place{Host: "h", User: "ann", Addr: addrA}, &place{Host: "h", User: "ann", Addr: addrB}, &place{Host: "h", User: "bob", Addr: addrA}
	limits := &policy.Clients{
		TransfersPerHost: []policy.TransferLimit{{Commands: []string{"RETR", "STOR"}, Count: 1}},
		TransfersPerUser: []policy.TransferLimit{{Commands: []string{"APPE"}, Count: 5}, {Commands: []string{"RETR"}, Count: 2, Message: "only %m"}},
	}
	begin := func(x *place, command, want string) {
		t.Helper()
		got := p.begin(x, command, limits)
		if got == nil && want != "" || got != nil && fmt.Sprint(got.name, ": ", got.text) != want {
			t.Fatalf("%s of %s: %+v, want %q", command, x.User, got, want)
		}
	}
	host := "MaxTransfersPerHost: Sorry, the maximum number of data transfers (1) from your host are currently being used."
	begin(ann, "RETR", "")
	begin(bob, "RETR", host)
	begin(bob, "STOR", "")
	begin(bob, "APPE", "")
	begin(&place{Host: "i", User: "bob", Addr: addrA}, "RETR", "")
	begin(far, "RETR", "")
	begin(&place{Host: "h", User: "ann", Addr: addrC}, "RETR", "MaxTransfersPerUser: only 2")
	p.end(ann, "RETR")
	begin(bob, "RETR", "")
	for x, commands := range map[*place][]string{bob: {"RETR", "STOR", "APPE"}, far: {"RETR"}, {Host: "i", User: "bob", Addr: addrA}: {"RETR"}} {
		for _, c := range commands {
			p.end(x, c)
		}
	}
	if !p.empty() {
		t.Errorf("left over: %+v", p)
	}
}
