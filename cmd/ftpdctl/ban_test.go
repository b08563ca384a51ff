package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/control"
)

func (d *daemon) banReady(server string) error {
	switch {
	case d.state == "degraded":
		return fmt.Errorf("%w: the ban engine is on nowhere", control.ErrRefused)
	case server != "" && server != "main":
		return fmt.Errorf("%w: no such server '%s'", control.ErrNotFound, server)
	}
	return nil
}

func (d *daemon) Ban(_ context.Context, by string, r control.BanRequest) (control.BanResult, error) {
	var res control.BanResult
	for _, n := range r.Names {
		o := control.BanOutcome{Name: n}
		switch n {
		case "dave":
			o.Already, o.Sessions = true, 2
		case "192.0.2.1":
			o.Error = "192.0.2.1 is never banned (ban.never)"
		case "full":
			o.Error, o.Full = "the ban list is full", true
		case "terms":
			o.Error = fmt.Sprintf("by %v for %d because %s on %s", by != "", r.Seconds, r.Reason, r.Server)
		case "lan":
			o.Sessions = 1
		}
		res.Names = append(res.Names, o)
	}
	return res, d.banReady(r.Server)
}

func (d *daemon) Permit(_ context.Context, _ string, r control.PermitRequest) (control.PermitResult, error) {
	if r.Kind == control.BanClass {
		return control.PermitResult{Empty: true}, d.banReady(r.Server)
	}
	var res control.PermitResult
	for _, n := range r.Names {
		o := control.PermitOutcome{Name: n, Lifted: 1}
		switch n {
		case "nobody":
			o.Lifted = 0
		case "192.0.2.7":
			o.Still = []string{"192.0.2.0/24"}
		}
		res.Names = append(res.Names, o)
	}
	return res, d.banReady(r.Server)
}

// banned is the daemon's list, in two pages.
func banned(now time.Time) []control.BanEntry {
	then := time.Date(2026, 5, 19, 14, 59, 25, 0, time.Local)
	name := func(kind, name, server string) control.BanName {
		return control.BanName{Kind: kind, Name: name, Server: server}
	}
	return []control.BanEntry{
		{BanName: name("user", "erin\x1b", ""), Created: then, Origin: "admin", Reason: "requested by 'root' on Tue May 19 14:59:25 2026"},
		{BanName: name("user@host", "dave@192.0.2.7", "main"), Created: then, Expires: now.Add(24 * time.Second), Origin: "rule", Reason: "MaxLoginAttemptsFromUser autoban", Event: "MaxLoginAttemptsFromUser", Count: 2, Rule: "sallyport.hcl:58", Times: 3},
		{BanName: name("host", "192.0.2.0/24", ""), Created: then, Origin: "admin", Reason: "a scanner"},
		{BanName: name("host", "192.0.2.9", ""), Created: then, Expires: now.Add(time.Hour), Origin: "store", Reason: "x", Node: "192.0.2.77#21", Message: "no"},
		{BanName: name("host", "2001:db8::/64", ""), Created: then, Expires: now.Add(time.Hour), Origin: "rule", Reason: "MaxLoginAttempts autoban", Event: "MaxLoginAttempts", Count: 1, Rule: "sallyport.hcl:50", Times: 1},
		{BanName: name("host", "198.51.100.1", "main"), Created: then, Origin: "admin"},
		{BanName: name("class", "lan", ""), Created: then, Origin: "admin", Reason: "requested by 'root' on Tue May 19 14:59:25 2026"},
	}
}

func (d *daemon) BanInfo(_ context.Context, r control.BanInfoRequest) (control.BanInfoResult, error) {
	if d.state == "failing" {
		return control.BanInfoResult{Most: 16}, nil
	}
	now := time.Now()
	list := banned(now)
	res := control.BanInfoResult{Total: len(list), Most: 7, Observe: true, Bans: list[:3], More: true}
	if r.After != nil {
		i := slices.IndexFunc(list, func(b control.BanEntry) bool { return b.BanName == *r.After })
		res.Bans, res.More = list[i+1:], false
	}
	if r.Events {
		res.Counters = []control.BanCounter{{Event: "MaxLoginAttempts", Source: "192.0.2.7\x1b", Server: "main", Count: 1, Most: 2, Expires: now.Add(9 * time.Second), Rule: "sallyport.hcl:50"}}
	}
	res.Stores = []control.BanStore{{Address: "192.0.2.5:6379", Why: "connection refused"}, {Address: "192.0.2.6:6379", Up: true}}
	return res, d.banReady("")
}

func (d *daemon) BanExplain(_ context.Context, r control.BanExplainRequest) (control.BanExplainResult, error) {
	now := time.Now()
	list := banned(now)
	res := control.BanExplainResult{Address: r.Address, User: r.User, Class: r.Class, Server: "main", Engine: d.state != "failing"}
	switch r.Address {
	case "192.0.2.7":
		res.Refused, res.Bans = res.Engine, list[2:3]
	case "192.0.2.8":
		res.Refused, res.Bans = res.Engine, list[:1]
	case "192.0.2.10":
		res.Spared, res.Observe = true, true
		res.Counters = []control.BanCounter{{Event: "FailedLogin", Count: 2, Most: 5, Expires: now.Add(99 * time.Second), Rule: "sallyport.hcl:50"}, {Event: "RootLogin", Count: 1, Most: 2}}
	}
	return res, d.banReady(r.Server)
}

func (d *daemon) BanImport(_ context.Context, _ string, r control.BanImportRequest) (control.BanImportResult, error) {
	var res control.BanImportResult
	for _, e := range r.Entries {
		switch {
		case e.Name == "192.0.2.1":
			res.Failed = append(res.Failed, control.BanFailure{Name: e.Name, Error: "is never banned"})
		case e.Seconds == 60:
			res.Already++
		default:
			res.Banned++
		}
	}
	return res, d.banReady("")
}

func TestBanTime(t *testing.T) {
	for s, want := range map[string]int64{"": 0, "90s": 90, "1h30m": 5400, "7d": 604800, "2w": 1209600, "3d4h23s500ms": 273624, "1ms": 1} {
		if got, err := banTime(s); got != want || err != nil {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"x", "5", "1m1h", "0s", "-1s", "1h1h", "1.5h", "99999999999s", "1h "} {
		if got, err := banTime(s); err == nil {
			t.Errorf("%s: %d", s, got)
		}
	}
}

// TestManyFailuresAreToldShort: what fails for the same reason is told twenty times,
// then counted.
func TestManyFailuresAreToldShort(t *testing.T) {
	var failed []control.BanFailure
	for i := range 30 {
		failed = append(failed, control.BanFailure{Name: fmt.Sprintf("10.0.0.%d", i), Error: "the ban list is full"})
	}
	failed = append(failed, control.BanFailure{Name: "192.0.2.1", Error: "is never banned"})
	var out bytes.Buffer
	a := app{err: &out}
	a.notBanned("list", failed)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 22 || lines[19] != "ftpdctl: list: 10.0.0.19: the ban list is full" ||
		lines[20] != "ftpdctl: list: 10 more: the ban list is full" || lines[21] != "ftpdctl: list: 192.0.2.1: is never banned" {
		t.Errorf("%q", lines)
	}
}

func host(name string, secs int64) control.BanImportEntry {
	return control.BanImportEntry{BanName: control.BanName{Kind: control.BanHost, Name: name}, Seconds: secs}
}

func TestListsAreRead(t *testing.T) {
	plain := "# comment\n\n192.0.2.7\n ::ffff:192.0.2.8 # theirs\n1.10.16.0/20 ; SBL256894\r\n2001:DB8::1/64 timeout 1h\n" +
		"user \"a b\\\"c\" server \"x y\" timeout 5s\nuser@host dave@192.0.2.7\nclass lan"
	want := []control.BanImportEntry{
		host("192.0.2.7", 0), host("192.0.2.8", 0), host("1.10.16.0/20", 0), host("2001:db8::/64", 3600),
		{BanName: control.BanName{Kind: "user", Name: `a b"c`, Server: "x y"}, Seconds: 5},
		{BanName: control.BanName{Kind: "user@host", Name: "dave@192.0.2.7"}},
		{BanName: control.BanName{Kind: "class", Name: "lan"}},
	}
	got, err := parseList("f", plain, isNft(plain))
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("plain: %s, %v", d, err)
	}
	nft := "table inet filter {\n\tset blackhole {\n\t\ttype ipv4_addr\n\t\tflags interval,timeout\n\t\tcomment \"elements of evil\"\n" +
		"\t\telements = { 192.0.2.0/24 timeout 1d expires 23h59m59s500ms,\n\t\t\t     10.0.0.1-10.0.0.6 counter packets 3 bytes 4, 198.51.100.1 }\n\t}\n" +
		"\tset empty {\n\t\ttype ipv6_addr\n\t}\n\tset six {\n\t\telements={2001:db8::1 timeout 60s}\n\t}\n}\n"
	want = []control.BanImportEntry{
		host("192.0.2.0/24", 86400), host("10.0.0.1", 0), host("10.0.0.2/31", 0), host("10.0.0.4/31", 0), host("10.0.0.6", 0), host("198.51.100.1", 0),
		host("2001:db8::1", 60),
	}
	got, err = parseList("f", nft, isNft(nft))
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("nft: %s, %v", d, err)
	}
	for text, want := range map[string]string{
		"192.0.2.7\nlocalhost\n":   `f:2: host "localhost": neither an address nor a prefix`,
		"user":                     "f:1: user: a name is missing",
		"user \"x":                 "f:1: a quote that does not end",
		"192.0.2.7 timeout 0s":     `f:1: timeout "0s": no time such as "90s" "10m" "1h30m" "7d"`,
		"192.0.2.7 timeout":        `f:1: unknown word "timeout"`,
		"192.0.2.7 until tomorrow": `f:1: unknown word "until"`,
		"class \"\"":               "f:1: a name of 0 bytes: 1 to 256 are possible",
		"set x {\nelements = { 10.0.0.9-10.0.0.1 }\n}":      `f: element "10.0.0.9-10.0.0.1": no range of addresses`,
		"set x {\nelements = { 10.0.0.9\n":                  "f: a set that does not end",
		"table x {\nelements = { 1.2.3.4 timeout soon }\n}": `f: element "1.2.3.4 timeout soon": timeout "soon": no time such as "90s" "10m" "1h30m" "7d"`,
		"add element inet filter x { 1.2.3.4 }":             `f:1: host "add": neither an address nor a prefix`,
	} {
		if got, err := parseList("f", text, isNft(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

// TestRangesAreWhatTheySay: the prefixes of a range hold each of its addresses
// once and none besides.
func TestRangesAreWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(n uint32) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
		lo := rapid.Uint32Range(0, 65535).Draw(t, "lo")
		hi := rapid.Uint32Range(lo, min(lo+700, 65535)).Draw(t, "hi")
		list, err := parseRange(at(lo).String() + "-" + at(hi).String())
		if err != nil || len(list) > 62 {
			t.Fatalf("%v, %v", list, err)
		}
		for n := uint32(0); n < 65536; n += rapid.Uint32Range(1, 300).Draw(t, "step") {
			held := 0
			for _, p := range list {
				if p.Contains(at(n)) {
					held++
				}
			}
			if want := n >= lo && n <= hi; (held == 1) != want || held > 1 {
				t.Fatalf("%v of %d-%d: held %d times", at(n), lo, hi, held)
			}
		}
	})
	for _, s := range []string{"0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if list, err := parseRange(s); err != nil || len(list) != 1 || list[0].Bits() != 0 {
			t.Errorf("%s: %v, %v", s, list, err)
		}
	}
}

// TestExportIsRead: what is exported can be imported, as a list whole, as a set
// what a set can hold.
func TestExportIsRead(t *testing.T) {
	now := time.Now()
	bans := banned(now)
	var b bytes.Buffer
	writeList(&b, bans, false, now)
	got, err := parseList("f", b.String(), isNft(b.String()))
	if err != nil || len(got) != len(bans) {
		t.Fatalf("%v, %v\n%s", got, err, b.String())
	}
	for i := range bans {
		left := int64(0)
		if !bans[i].Expires.IsZero() {
			left = ahead(bans[i].Expires, now)
		}
		if d := cmp.Diff(control.BanImportEntry{BanName: bans[i].BanName, Seconds: left}, got[i]); d != "" {
			t.Error(d)
		}
	}
	b.Reset()
	writeList(&b, bans, true, now)
	if got := b.String(); got != "192.0.2.0/24\n192.0.2.9\n2001:db8::/64\n" {
		t.Errorf("bare: %q", got)
	}
	b.Reset()
	writeNft(&b, bans, "inet sallyport", now)
	got, err = parseList("f", b.String(), isNft(b.String()))
	want := []control.BanImportEntry{host("192.0.2.0/24", 0), host("2001:db8::/64", 3600)} // 192.0.2.9 is within the first
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%s, %v\n%s", d, err, b.String())
	}
}

// TestNftTakesTheSets: the program itself reads what is exported, an empty list
// too, and what it shows is read back.
func TestNftTakesTheSets(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	if _, err := exec.Command("unshare", "-rn", "true").CombinedOutput(); err != nil {
		t.Skip("no network namespace can be made here")
	}
	now := time.Now()
	for name, bans := range map[string][]control.BanEntry{"bans": banned(now), "empty": nil} {
		var b bytes.Buffer
		writeNft(&b, bans, "inet sallyport", now)
		cmd := exec.Command("unshare", "-rn", "sh", "-c", "nft -f - && nft list ruleset")
		cmd.Stdin = &b
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		got, err := parseList("f", string(out), isNft(string(out)))
		if err != nil || bans != nil != (len(got) == 2) {
			t.Errorf("%s: %v, %v\n%s", name, got, err, out)
		}
		if bans != nil && len(got) == 2 && (got[0] != host("192.0.2.0/24", 0) || got[1].Seconds < 3500 || got[1].Seconds > 3600) {
			t.Errorf("%+v\n%s", got, out)
		}
	}
}

// FuzzParseList: no list makes the reader fail or hand out what the daemon would
// refuse as malformed.
func FuzzParseList(f *testing.F) {
	f.Add("192.0.2.7\n2001:db8::/64 timeout 1h # x\nuser \"a b\" server \"h\"\n")
	f.Add("table inet f {\nset s {\nelements = { 10.0.0.1-10.0.0.6 timeout 1d expires 3h, ::1 }\n}\n}")
	f.Add("set s {\nelements = { 0.0.0.0-255.255.255.255, , }")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseList("f", text, isNft(text))
		if err != nil && list != nil {
			t.Fatal("half a list")
		}
		for _, e := range list {
			if e.Name == "" || len(e.Name) > control.MaxName || e.Seconds < 0 || !slices.Contains(control.BanKinds(), e.Kind) {
				t.Fatalf("%+v", e)
			}
			if _, err := control.ParseHost(e.Name); e.Kind == control.BanHost && err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLongListsComeInParts: no request is larger than the daemon takes.
func TestLongListsComeInParts(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "user %q\n", fmt.Sprintf("%s%d", strings.Repeat("\x01", 200), i))
	}
	list, err := parseList("f", b.String(), false)
	if err != nil || len(list) != 3000 {
		t.Fatal(len(list), err)
	}
	a, got := serving(t)
	if err := a.banImport(t.Context(), control.BanImportRequest{Reason: strings.Repeat("r", 256)}, "f", list); err != nil {
		t.Fatal(err)
	}
	if s := got.String(); s != "3000 banned, 0 already banned, 0 not banned\n" {
		t.Error(s)
	}
}
