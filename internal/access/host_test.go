package access

import (
	"fmt"
	"net/netip"
	"testing"

	"sallyport/internal/policy"
)

func TestHostByName(t *testing.T) {
	r := New(&policy.Policy{Hosts: []policy.Host{
		{Name: "default", Names: []string{"ftp.example.org"}},
		{Name: "files", Names: []string{"Files.example.org", "*.files.example.org", "*.example.net"}},
		{Name: "exact", Names: []string{"one.files.example.org"}},
		{Name: "pub", Names: []string{"pub.example.org"}, Address: []string{"192.0.2.21", "2001:db8::21"}},
		{Name: "pub2", Names: []string{"two.example.org", "files.example.org"}, Address: []string{"192.0.2.21"}},
		{Name: "port", Names: []string{"two.example.org"}, Address: []string{"192.0.2.21:2121"}},
		{Name: "alone", Address: []string{"192.0.2.99"}},
	}})
	for _, c := range []struct{ local, name, want string }{
		{"127.0.0.1:21", "ftp.example.org", "default"},
		{"127.0.0.1:21", "FTP.example.ORG.", "default"},
		{"127.0.0.1:21", "files.example.org", "files"},
		{"127.0.0.1:21", "x.files.example.org", "files"},
		{"127.0.0.1:21", "one.files.example.org", "exact"},
		{"127.0.0.1:21", "a.b.files.example.org", ""}, // one label, not two
		{"127.0.0.1:21", "example.net", ""},
		{"127.0.0.1:21", ".example.net", ""},
		{"127.0.0.1:21", "*.example.net", ""},
		{"127.0.0.1:21", "pub.example.org", ""}, // at its own address only
		{"127.0.0.1:21", "", ""},
		{"127.0.0.1:21", ".", ""},
		{"192.0.2.21:21", "pub.example.org", "pub"},
		{"[::ffff:192.0.2.21]:21", "pub.example.org", "pub"},
		{"[2001:db8::21]:21", "pub.example.org", "pub"},
		{"[2001:db8::21]:21", "two.example.org", ""},
		{"192.0.2.21:21", "two.example.org", "pub2"},
		{"192.0.2.21:21", "files.example.org", "pub2"},
		{"192.0.2.21:21", "x.files.example.org", ""}, // the address has hosts of its own
		{"192.0.2.21:2121", "two.example.org", "port"},
		{"192.0.2.21:2121", "pub.example.org", "pub"}, // names the address, so also the port
		{"192.0.2.99:21", "ftp.example.org", ""},
	} {
		got := ""
		if h := r.HostByName(netip.MustParseAddrPort(c.local), c.name); h != nil {
			got = h.Name
		}
		if got != c.want {
			t.Errorf("%s says %q: %q, want %q", c.local, c.name, got, c.want)
		}
	}
}

// BenchmarkHostByName shows that a look-up does not grow with the number of
// hosts.
func BenchmarkHostByName(b *testing.B) {
	for _, n := range []int{1, 4000} {
		p := &policy.Policy{Hosts: []policy.Host{{Name: "default"}}}
		for i := range n {
			p.Hosts = append(p.Hosts, policy.Host{Name: fmt.Sprint(i), Names: []string{fmt.Sprintf("*.h%d.example.org", i)}})
		}
		r, local := New(p), netip.MustParseAddrPort("127.0.0.1:21")
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if r.HostByName(local, "x.h0.example.org") == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}
