package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/policy"
)

func mustParse(t *testing.T, src string) *policy.Policy {
	t.Helper()
	p, diags := Parse("x.hcl", []byte(src), withRoot)
	if p == nil {
		t.Fatal(diags)
	}
	return p
}

// TestListsAreJoined: what blocks of the top level, a virtual_host, a when and an
// anonymous block come to, for lists of which the first entry decides and for
// those in which every entry holds.
func TestListsAreJoined(t *testing.T) {
	p := mustParse(t, `
class "lan" { from = ["10.0.0.0/8"] }
class "slow" { from = ["192.0.2.0/24"] }
max {
  store_file_size "20GiB" { group = ["video"] }
  store_file_size "2GiB" {}
  transfers_per_host "RETR" { count = 2 }
}
transfer_rate "RETR,STOR" { rate = "1MiB/s" }
timeout { session = "8h" }
alias "bob" { user = "alice" }
log {
  extended "/a" { commands = ["AUTH"] }
}
delay {
  on_event "PASS" { delay = "1s" }
}
anonymous "/srv/ftp" {
  user    = "ftp"
  aliases = ["anonymous"]
  max {
    store_file_size "1MiB" {}
  }
  log {
    extended "/anon" {}
  }
}
when {
  class = ["lan"]
  max {
    store_file_size "none" { group = ["staff"] }
    transfers_per_host "RETR" { count = "none" }
  }
  transfer_rate "RETR" { rate = "none" }
  timeout {
    session "1h" { user = ["guest"] }
  }
  delay {
    on_event "PASS" { delay = "none" }
    on_event "USER" { delay = "2s" }
  }
  umask = "077"
}
when {
  class   = ["slow"]
  timeout { session = "10m" }
  log {
    extended "/a" { commands = ["NONE"] }
  }
}
virtual_host "x" {
  names = ["x.example.org"]
  max {
    store_file_size "5GiB" { user = ["*"] }
    transfers_per_host "STOR" { count = 1 }
  }
  alias "bob" { user = "carol" }
  alias "eve" { user = "alice" }
  anonymous "none" {}
}
`)
	tell := func(s *policy.Settings) string {
		var b strings.Builder
		for _, l := range lists() {
			n := new(node)
			l.show(n, []pair{{nil, (&scope{s: s}).filled()}}, false, func(k *Key, lit string) bool { return lit != k.Default })
			n.settings((&scope{s: s}).filled(), Top, func(k *Key, lit string) bool { return k.Path == l.blockPath() && lit != k.Default })
			for _, sec := range allSections(n) {
				fmt.Fprintln(&b, sec.line())
			}
			n.each("", func(path string, a attr) { fmt.Fprintln(&b, path, "=", a.lit) })
		}
		return b.String()
	}
	base, x := &p.Hosts[0], &p.Hosts[1]
	for _, c := range []struct {
		name string
		s    *policy.Settings
		want string
	}{
		{"top", &base.Base, `root "~" {}
store_file_size "20GiB" { group = ["video"] }
store_file_size "2GiB" {}
timeout.session = "8h"
transfer_rate "RETR,STOR" { rate = "1MiB/s" }
transfers_per_host "RETR" { count = 2 }
extended "/a" { commands = ["AUTH"] }
alias "bob" { user = "alice" }
on_event "PASS" { delay = "1s" }
`},
		{"lan", base.For("lan"), `root "~" {}
store_file_size "none" { group = ["staff"] }
store_file_size "20GiB" { group = ["video"] }
store_file_size "2GiB" {}
session "1h" { user = ["guest"] }
session "8h" {}
transfer_rate "STOR" { rate = "1MiB/s" }
extended "/a" { commands = ["AUTH"] }
alias "bob" { user = "alice" }
on_event "USER" { delay = "2s" }
`},
		{"slow", base.For("slow"), `root "~" {}
store_file_size "20GiB" { group = ["video"] }
store_file_size "2GiB" {}
timeout.session = "10m"
transfer_rate "RETR,STOR" { rate = "1MiB/s" }
transfers_per_host "RETR" { count = 2 }
alias "bob" { user = "alice" }
on_event "PASS" { delay = "1s" }
`},
		{"host", &x.Base, `root "~" {}
store_file_size "5GiB" { user = ["*"] }
timeout.session = "8h"
transfer_rate "RETR,STOR" { rate = "1MiB/s" }
transfers_per_host "RETR" { count = 2 }
transfers_per_host "STOR" { count = 1 }
extended "/a" { commands = ["AUTH"] }
alias "bob" { user = "carol" }
alias "eve" { user = "alice" }
on_event "PASS" { delay = "1s" }
`},
		{"anonymous lan", &base.For("lan").Anonymous[0].Settings, `root "~" {}
store_file_size "1MiB" {}
session "1h" { user = ["guest"] }
session "8h" {}
transfer_rate "STOR" { rate = "1MiB/s" }
extended "/a" { commands = ["AUTH"] }
extended "/anon" {}
alias "bob" { user = "alice" }
on_event "USER" { delay = "2s" }
`},
	} {
		if d := cmp.Diff(c.want, tell(c.s)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
	if len(x.Base.Anonymous) != 0 || len(x.Base.Auth.Anonymous) != 0 || len(x.Base.Session.Anonymous) != 0 {
		t.Error("anonymous \"none\" leaves anonymous logins")
	}
	anon := &base.For("lan").Anonymous[0]
	if anon.Settings.Files.Umask != 0o077 || base.Base.Anonymous[0].Settings.Files.Umask != 0o022 || anon.ID != base.Base.Anonymous[0].ID || anon.ID == 0 {
		t.Errorf("what a when block sets does not reach the anonymous logins of the class, or they have another id")
	}
	if !base.Base.Session.Names || !x.Base.Session.Names || !base.Base.Anonymous[0].Settings.Session.Names {
		t.Error("the sessions do not know that there are hosts by name")
	}
	if !base.Base.Session.CountTransfers || base.For("lan").Session.CountTransfers {
		t.Error("CountTransfers is not derived from the limits")
	}
}

// TestNamesAreKnownWhereTheyCount: HOST is in FEAT at the addresses that have
// hosts by name.
func TestNamesAreKnownWhereTheyCount(t *testing.T) {
	p := mustParse(t, `
virtual_host "a" { address = ["192.0.2.1"] }
virtual_host "b" {
  address = ["192.0.2.1"]
  names   = ["b.example.org"]
}
virtual_host "c" { address = ["192.0.2.2", "192.0.2.3:21"] }
virtual_host "d" { address = ["192.0.2.1:2121"] }
virtual_host "e" { address = ["[2001:db8::1]:21"] }
`)
	got := map[string]bool{}
	for _, h := range p.Hosts {
		got[h.Name] = h.Base.Session.Names
	}
	want := map[string]bool{"default": false, "a": true, "b": true, "c": false, "d": true, "e": false}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if q := mustParse(t, `names = ["ftp.example.org"]`); !q.Hosts[0].Base.Session.Names {
		t.Error("the names of the default host do not count")
	}
}

// TestLoadReadsDisplayFiles: texts named by absolute paths are in the view, each
// file is read once, and what is wrong with one is told with its name and place.
func TestLoadReadsDisplayFiles(t *testing.T) {
	dir := t.TempDir()
	hello := write(t, dir+"/hello.txt", "Hello %U\n", 0o644)
	long := write(t, dir+"/long.txt", strings.Repeat("x", maxText+1), 0o644)
	full := write(t, dir+"/full.txt", strings.Repeat("x", maxText), 0o644)
	zero := write(t, dir+"/zero.txt", "a\x00b", 0o644)
	load := func(src string) (*policy.Policy, Diagnostics) {
		return Load(write(t, dir+"/x.hcl", src, 0o600), withRoot)
	}
	p, diags := load(fmt.Sprintf("display {\nconnect = %q\nlogin = %q\nquit = \"bye.txt\"\n}\nanonymous \"/srv\" {\nuser = \"ftp\"\ndisplay { login = %q }\n}", hello, full, hello))
	if p == nil {
		t.Fatal(diags)
	}
	d := p.Hosts[0].Base.Session.Display
	if d.Connect != "Hello %U\n" || len(d.Login.Text) != maxText || d.Login.Path != "" || d.Quit != (policy.DisplayFile{Path: "bye.txt"}) {
		t.Errorf("%+v", d)
	}
	if a := p.Hosts[0].Base.Anonymous[0].Settings.Session.Display; a.Login.Text != "Hello %U\n" {
		t.Errorf("anonymous: %+v", a)
	}
	for path, want := range map[string]string{
		dir + "/no.txt": "cannot be read: no such file or directory", dir: "is no regular file", long: "is longer than 4096 bytes", zero: "is no text: it holds a zero byte",
	} {
		p, diags := load(fmt.Sprintf("\ndisplay { login = %q }", path))
		if p != nil || len(diags) != 1 || diags[0].Line != 2 || diags[0].Problem != fmt.Sprintf("display file %q %s", path, want) {
			t.Errorf("%s: %v", filepath.Base(path), diags)
		}
	}
	src := fmt.Sprintf("display { connect = %q }", hello)
	before, _ := load(src)
	write(t, hello, "Good day\n", 0o644)
	after, _ := load(src)
	if d := cmp.Diff([]string{fmt.Sprintf("display: the text of %q has changed", hello)}, Diff(before, after)); d != "" {
		t.Error(d)
	}
	if err := os.Remove(hello); err != nil {
		t.Fatal(err)
	}
	if p, diags := Parse("x.hcl", fmt.Appendf(nil, "display { connect = %q }", hello), withRoot); p == nil || p.Hosts[0].Base.Session.Display.Connect != "" {
		t.Errorf("Parse reads files: %v", diags)
	}
}

// TestBlocksOfAListAreBounded: what a file may say is what the views can hold.
func TestBlocksOfAListAreBounded(t *testing.T) {
	var src strings.Builder
	for i := range maxBlocks + 1 {
		fmt.Fprintf(&src, "alias \"u%d\" { user = \"x\" }\n", i)
	}
	if _, diags := Parse("x.hcl", []byte(src.String()), withRoot); len(diags) != 1 || diags[0].Problem != "is one block too many" || diags[0].Line != maxBlocks+1 {
		t.Error(diags)
	}
	src.Reset()
	for i := range maxAnonymous + 1 {
		fmt.Fprintf(&src, "anonymous \"/srv\" { user = \"u%d\" }\n", i)
	}
	if _, diags := Parse("x.hcl", []byte(src.String()), withRoot); len(diags) != 1 || diags[0].Problem != "is one block too many" || diags[0].Line != maxAnonymous+1 {
		t.Error(diags)
	}
}

// TestDiffHidesSecrets: a reload logs what it changes, but not hashes.
func TestDiffHidesSecrets(t *testing.T) {
	const one, two = "$6$salt$first", "$6$salt$second"
	user := func(hash string) *policy.Policy {
		return mustParse(t, fmt.Sprintf("user_password \"alice\" { hash = %q }", hash))
	}
	got := Diff(user(one), user(two))
	want := []string{`user_password: user_password "alice" { hash = (hidden) } -> user_password "alice" { hash = (hidden) }`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := Diff(user(one), user(one)); d != nil {
		t.Error(d)
	}
}

// TestDiffOfBlocks: the new kinds of blocks are told by their names.
func TestDiffOfBlocks(t *testing.T) {
	const from = `
max { clients = 5 }
anonymous "/srv/ftp" { user = "ftp" }
tls {
  certificate {
    file = "/a.pem"
    key  = "/a.key"
  }
}
log { transfer = "/x" }
`
	const to = `
max {
  clients {
    count   = 6
    message = "no"
  }
  store_file_size "1GiB" {}
}
anonymous "/srv/ftp" {
  user  = "ftp"
  umask = "077"
}
anonymous "/srv/two" { user = "two" }
tls {
  required = "on"
}
`
	want := []string{
		`max.clients.message: "" -> "no"`,
		`tls.required: "off" -> "on"`,
		`max.clients: 5 -> 6`,
		`log.transfer: "/x" -> "none"`,
		`max.store_file_size: not set -> store_file_size "1GiB" { match = "any" }`,
		`anonymous "/srv/ftp" umask: not set -> "077"`,
		`anonymous "/srv/two" user: not set -> "two"`,
	}
	var got []string
	for _, line := range Diff(mustParse(t, from), mustParse(t, to)) {
		if !strings.HasPrefix(line, `anonymous "/srv/two"`) || strings.Contains(line, " user:") {
			got = append(got, line)
		}
	}
	want = append(want, `tls.certificate: certificate { file = "/a.pem" key = "/a.key" staple = "none" } -> not set`)
	sortedWant, sortedGot := strings.Join(sorted(want), "\n"), strings.Join(sorted(got), "\n")
	if d := cmp.Diff(sortedWant, sortedGot); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
