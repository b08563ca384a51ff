package control

import (
	"errors"
	"fmt"
	"os/user"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/policy"
)

// TestBanActions: what is asked reaches the daemon, with the name of who asks,
// and its answer comes back.
func TestBanActions(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	_, c, _ := start(t, f, policy.Control{})
	ctx := t.Context()
	b, err := c.Ban(ctx, BanRequest{Kind: BanHost, Names: []string{"192.0.2.0/24"}, Server: "main", Seconds: 60, Reason: "scan"})
	if err != nil || len(b.Names) != 1 || b.Names[0].Sessions != 2 {
		t.Errorf("ban: %+v, %v", b, err)
	}
	p, err := c.Permit(ctx, PermitRequest{Kind: BanUserAt, Names: []string{"*"}})
	if err != nil || len(p.Names) != 1 || p.Names[0].Lifted != 1 {
		t.Errorf("permit: %+v, %v", p, err)
	}
	i, err := c.BanInfo(ctx, BanInfoRequest{Events: true, After: &BanName{Kind: BanUser, Name: "x"}})
	if err != nil || i.Total != 3 || i.Bans == nil {
		t.Errorf("info: %+v, %v", i, err)
	}
	e, err := c.BanExplain(ctx, BanExplainRequest{Address: "2001:db8::1", User: "dave"})
	if err != nil || !e.Refused {
		t.Errorf("explain: %+v, %v", e, err)
	}
	list := make([]BanImportEntry, MaxImport)
	for i := range list {
		list[i].Kind, list[i].Name = BanHost, fmt.Sprintf("2001:db8:ffff:%x::/64", i)
	}
	if r, err := c.BanImport(ctx, BanImportRequest{Entries: list}); err != nil || r.Banned != MaxImport {
		t.Errorf("import: %+v, %v", r, err)
	}
	want := []string{
		"ban by " + me.Username + " {Kind:host Names:[192.0.2.0/24] Server:main Seconds:60 Reason:scan Wide:false}",
		"permit by " + me.Username + " {Kind:user@host Names:[*] Server:}", "ban_info true", "ban_explain {Address:2001:db8::1 User:dave Class: Server:}",
		fmt.Sprint("ban_import by ", me.Username, " ", MaxImport),
	}
	if d := cmp.Diff(want, f.calls); d != "" {
		t.Errorf("calls (-want +got)\n%s", d)
	}
}

// TestBanRequestsAreChecked: nothing that is no ban reaches the daemon.
func TestBanRequestsAreChecked(t *testing.T) {
	f := &fake{}
	_, c, _ := start(t, f, policy.Control{})
	long := strings.Repeat("x", MaxName+1)
	one := func(kind, name string) BanImportRequest {
		return BanImportRequest{Entries: []BanImportEntry{{BanName: BanName{Kind: kind, Name: name}}}}
	}
	for _, x := range []struct {
		action string
		args   any
		want   string
	}{
		{ActionBan, BanRequest{Kind: BanUser}, "ban takes 1 to 64 names, not 0"},
		{ActionBan, BanRequest{Kind: BanUser, Names: make([]string, MaxNames+1)}, "ban takes 1 to 64 names, not 65"},
		{ActionBan, BanRequest{Kind: BanUser, Names: []string{""}}, "name 1 has 0 bytes: 1 to 256 are allowed"},
		{ActionBan, BanRequest{Kind: BanUser, Names: []string{"a", long}}, "name 2 has 257 bytes: 1 to 256 are allowed"},
		{ActionBan, BanRequest{Kind: "network", Names: []string{"a"}}, "unknown ban action requested: 'network'"},
		{ActionBan, BanRequest{Kind: BanHost, Names: []string{"localhost"}}, `host "localhost": neither an address nor a prefix`},
		{ActionBan, BanRequest{Kind: BanHost, Names: []string{"*"}}, `host "*": neither an address nor a prefix`},
		{ActionBan, BanRequest{Kind: BanHost, Names: []string{"10.0.0.0/7"}}, `host "10.0.0.0/7": a prefix of fewer than 8 bits is banned only with --wide`},
		{ActionBan, BanRequest{Kind: BanHost, Names: []string{"::/0"}}, `host "::/0": a prefix of fewer than 16 bits is banned only with --wide`},
		{ActionBan, BanRequest{Kind: BanHost, Names: []string{"::ffff:0.0.0.0/96"}}, `host "::ffff:0.0.0.0/96": a prefix of fewer than 8 bits is banned only with --wide`},
		{ActionBan, BanRequest{Kind: BanUserAt, Names: []string{"dave"}}, `"dave": not of the form user@address`},
		{ActionBan, BanRequest{Kind: BanUserAt, Names: []string{"@192.0.2.7"}}, `"@192.0.2.7": not of the form user@address`},
		{ActionBan, BanRequest{Kind: BanUserAt, Names: []string{"dave@fe80::1%eth0"}}, `"dave@fe80::1%eth0": what follows the @ is no address`},
		{ActionBan, BanRequest{Kind: BanUser, Names: []string{"a"}, Seconds: -1}, "a ban of -1 seconds: 0 to 3153600000 are allowed"},
		{ActionBan, BanRequest{Kind: BanUser, Names: []string{"a"}, Reason: long}, "reason of 257 bytes: the limit is 256"},
		{ActionBan, BanRequest{Kind: BanUser, Names: []string{"a"}, Reason: "a\nb"}, "reason with control characters"},
		{ActionBan, BanRequest{Kind: BanUser, Names: []string{"a"}, Server: long}, "virtual host of 257 bytes: the limit is 256"},
		{ActionPermit, PermitRequest{Kind: BanHost, Names: []string{"*", "192.0.2.7"}}, `host "*": neither an address nor a prefix`},
		{ActionPermit, PermitRequest{Kind: BanUser}, "permit takes 1 to 64 names, not 0"},
		{ActionBanInfo, BanInfoRequest{After: &BanName{Kind: "x", Name: "y"}}, "unknown ban action requested: 'x'"},
		{ActionBanExplain, BanExplainRequest{Address: "192.0.2.0/24"}, `address "192.0.2.0/24": not one`},
		{ActionBanExplain, BanExplainRequest{Address: "192.0.2.1", User: long}, "user of 257 bytes: the limit is 256"},
		{ActionBanImport, BanImportRequest{}, "import takes 1 to 256 entries, not 0"},
		{ActionBanImport, BanImportRequest{Entries: make([]BanImportEntry, MaxImport+1)}, "import takes 1 to 256 entries, not 257"},
		{ActionBanImport, one(BanHost, "0.0.0.0/0"), `host "0.0.0.0/0": a prefix of fewer than 8 bits is banned only with --wide`},
		{ActionBanImport, one("x", "y"), "unknown ban action requested: 'x'"},
	} {
		r, err := c.Do(t.Context(), x.action, x.args)
		if err != nil {
			t.Fatalf("%s %+v: %v", x.action, x.args, err)
		}
		if r.Code != CodeParameters || r.Error != "wrong parameters: "+x.want {
			t.Errorf("%s %+v: %d %s, want %s", x.action, x.args, r.Code, r.Error, x.want)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("the daemon was asked: %v", f.calls)
	}
	if _, err := c.Ban(t.Context(), BanRequest{Kind: BanHost, Names: []string{"0.0.0.0/0"}, Wide: true}); err != nil {
		t.Errorf("said to be meant: %v", err)
	}
}

// TestBanRecords: the log has who banned whom, and of an import how many, not
// the list; looking leaves no notice.
func TestBanRecords(t *testing.T) {
	_, c, log := start(t, &fake{}, policy.Control{})
	entry := BanImportEntry{BanName: BanName{Kind: BanHost, Name: "198.51.100.7"}}
	for _, err := range []error{
		second(c.Ban(t.Context(), BanRequest{Kind: BanUser, Names: []string{"mallory"}})),
		second(c.BanImport(t.Context(), BanImportRequest{Entries: []BanImportEntry{entry}})),
		second(c.BanInfo(t.Context(), BanInfoRequest{})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	log.flush()
	text := log.text(t)
	for _, want := range []string{"control ban ", "mallory", "control ban_import", `banned\":1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "198.51.100.7") {
		t.Errorf("the list is in the log\n%s", text)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "control ban_info") && !strings.Contains(line, "DEBUG") {
			t.Error(line)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestBanErrorsBecomeCodes: an unknown host and an engine that is off are told
// apart.
func TestBanErrorsBecomeCodes(t *testing.T) {
	for err, want := range map[error]Code{
		fmt.Errorf("%w: no such server 'x'", ErrNotFound):          CodeNotFound,
		fmt.Errorf("%w: the ban engine is on nowhere", ErrRefused): CodeRefused,
	} {
		_, c, _ := start(t, &fake{err: err}, policy.Control{})
		_, got := c.Ban(t.Context(), BanRequest{Kind: BanUser, Names: []string{"a"}})
		var e *Error
		if !errors.As(got, &e) || e.Code != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
