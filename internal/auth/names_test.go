package auth

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/policy"
)

// outcome runs an attempt without PAM and tells who it is, or why not.
func outcome(t *testing.T, h *Host, name, secret string) (Result, []string) {
	t.Helper()
	r, steps := drive(h, name, secret, func() *PamAnswer { return &PamAnswer{Declined: true} })
	return r, steps
}

func TestAliases(t *testing.T) {
	e := newEtc(t)
	h := e.host(func(p *policy.AuthHost) {
		p.Aliases = []policy.Alias{
			{Name: "web", User: "virtual"},
			{Name: "web", User: "both"},
			{Name: "boss", User: "toor"},
			{Name: "both", User: "virtual"},
			{Name: "ghost", User: "nobody-at-all"},
		}
	}, "file")
	for _, x := range []struct{ name, secret, user, reason string }{
		{"web", "right", "virtual", ""}, // the first of a name
		{"web", "wrong", "", ReasonPassword},
		{"virtual", "right", "virtual", ""},
		{"both", "right", "virtual", ""}, // an alias goes before an account
		{"WEB", "right", "", ReasonNoUser},
		{"boss", "right", "", ReasonRoot},
		{"ghost", "right", "", ReasonNoUser},
		{"*", "right", "", ReasonNoUser},
	} {
		r, steps := outcome(t, h, x.name, x.secret)
		switch {
		case x.user != "" && (r.Verdict != OK || r.Account.User != x.user):
			t.Errorf("%s: %+v", x.name, r)
		case x.user == "" && (r.Verdict != Denied || r.Reason != x.reason):
			t.Errorf("%s: %+v, want %q", x.name, r, x.reason)
		case len(steps) != 1:
			t.Errorf("%s: %v", x.name, steps)
		}
	}
}

func TestTheAliasOfEveryName(t *testing.T) {
	e := newEtc(t)
	h := e.host(func(p *policy.AuthHost) { p.Aliases = []policy.Alias{{Name: "*", User: "virtual"}} }, "file", "unix")
	for name, want := range map[string]string{"whoever": "virtual", "both": "both", "unix": "unix", "*": "virtual"} {
		r, _ := outcome(t, h, name, "right")
		if r.Verdict != OK || r.Account.User != want {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r, _ := outcome(t, h, "locked", "right"); r.Verdict != Denied { // is an account: no way around its lock
		t.Errorf("%+v", r)
	}
}

func TestAliasOnly(t *testing.T) {
	e := newEtc(t)
	h := e.host(func(p *policy.AuthHost) {
		p.AliasOnly = true
		p.Aliases = []policy.Alias{{Name: "web", User: "virtual"}}
		p.Anonymous = []policy.AnonymousAuth{{ID: 1, User: "unix", Names: []string{"ftp", "unix"}, AliasOnly: true}}
	}, "file")
	if r, _ := outcome(t, h, "web", "right"); r.Verdict != OK || r.Account.User != "virtual" {
		t.Errorf("%+v", r)
	}
	if r, _ := outcome(t, h, "ftp", "x"); r.Verdict != OK || r.Anonymous != 1 {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"virtual", "nobody-at-all", "unix"} {
		r, steps := outcome(t, h, name, "right")
		if r.Verdict != Denied || r.Reason != ReasonAlias || !slices.Equal(steps, []string{"decoy"}) {
			t.Errorf("%s: %+v %v", name, r, steps)
		}
	}
}

func TestAnonymous(t *testing.T) {
	e := newEtc(t)
	block := policy.AnonymousAuth{ID: 3, User: "daemon", Names: []string{"daemon", "ftp", "anonymous"}}
	host := func(change func(*policy.AnonymousAuth), sources ...string) *Host {
		b := block
		if change != nil {
			change(&b)
		}
		return e.host(func(p *policy.AuthHost) { p.Anonymous = []policy.AnonymousAuth{b} }, sources...)
	}
	for _, x := range []struct {
		what    string
		h       *Host
		name    string
		secret  string
		reason  string // "": let in
		email   string
		sources int // decoys of a refusal
	}{
		{"a system account", host(nil, "file"), "ftp", "me@example.org", "", "me@example.org", 0},
		{"no source", host(nil), "anonymous", "me@example.org", "", "me@example.org", 0},
		{"no password", host(nil, "file"), "ftp", "", "", "", 0},
		{"the account's own name", host(nil, "file"), "daemon", "x", "", "x", 0},
		{"control bytes stay what they are", host(nil, "file"), "ftp", "a\r\n\x00", "", "a\r\n\x00", 0},
		{"too long", host(nil, "file"), "ftp", strings.Repeat("x", 65), ReasonTooLong, "", 0},
		{"the account's name is no alias", host(func(b *policy.AnonymousAuth) { b.AliasOnly = true }, "file"), "daemon", "x", ReasonNoUser, "", 1},
		{"rejected", host(func(b *policy.AnonymousAuth) { b.Reject = "@bad\\." }, "file", "unix"), "ftp", "me@bad.example", ReasonRejected, "", 2},
		{"not rejected", host(func(b *policy.AnonymousAuth) { b.Reject = "@bad\\." }, "file"), "ftp", "me@good.example", "", "me@good.example", 0},
		{"rejected since it does not match", host(func(b *policy.AnonymousAuth) { b.Reject, b.RejectNot = "@", true }, "file"), "ftp", "guest", ReasonRejected, "", 1},
		{"matches", host(func(b *policy.AnonymousAuth) { b.Reject, b.RejectNot = "@", true }, "file"), "ftp", "a@b", "", "a@b", 0},
		{"a bad shell", host(func(b *policy.AnonymousAuth) { b.User, b.RequireValidShell = "noshell", true }, "file"), "ftp", "x", "Invalid shell: '/bin/nope'", "", 1},
		{"a bad shell that does not matter", host(func(b *policy.AnonymousAuth) { b.User = "noshell" }, "file"), "ftp", "x", "", "x", 0},
		{"ftpusers", host(func(b *policy.AnonymousAuth) { b.User = "listed" }, "file"), "ftp", "x", ReasonFtpUsers, "", 1},
		{"root", host(func(b *policy.AnonymousAuth) { b.User = "root" }, "file"), "ftp", "x", ReasonRoot, "", 1},
		{"root's group", host(func(b *policy.AnonymousAuth) { b.Group = "root" }, "file"), "ftp", "x", ReasonIdentity, "", 1},
		{"no account", host(func(b *policy.AnonymousAuth) { b.User = "nobody-at-all" }, "file"), "ftp", "x", ReasonIdentity, "", 1},
		{"an expired account", host(func(b *policy.AnonymousAuth) { b.User = "old" }, "file"), "ftp", "x", "", "x", 0},
		{"another's name", host(nil, "file"), "virtual", "right", "", "", 0},
	} {
		r, steps := outcome(t, x.h, x.name, x.secret)
		if x.reason != "" {
			if r.Verdict != Denied || r.Reason != x.reason || len(steps) != x.sources || r.Email != "" || r.Anonymous != 0 {
				t.Errorf("%s: %+v %v", x.what, r, steps)
			}
			continue
		}
		wantID := uint32(3)
		if x.name == "virtual" {
			wantID = 0
		}
		if r.Verdict != OK || r.Email != x.email || r.Anonymous != wantID || wantID != 0 && len(steps) != 0 {
			t.Errorf("%s: %+v %v", x.what, r, steps)
		}
	}
}

func TestAnonymousGroupAndStar(t *testing.T) {
	e := newEtc(t)
	h := e.host(func(p *policy.AuthHost) {
		p.Anonymous = []policy.AnonymousAuth{{ID: 9, User: "unix", Group: "staff", Names: []string{"*"}}}
	}, "file")
	r, _ := outcome(t, h, "whoever", "my-real-password")
	if r.Verdict != OK || r.Anonymous != 9 || r.Account.GID != 3000 || !slices.Equal(r.Account.Groups, []uint32{10}) ||
		!slices.Equal(r.Account.GroupNames, []string{"staff", "wheel"}) {
		t.Errorf("%+v %+v", r, r.Account)
	}
	if r.Email != "" {
		t.Errorf("a password that was perhaps meant for an account is reported: %q", r.Email)
	}
	if r, _ := outcome(t, h, "virtual", "wrong"); r.Verdict != Denied || r.Reason != ReasonPassword {
		t.Errorf("an account fell into the anonymous block: %+v", r)
	}
}

func TestGuests(t *testing.T) {
	e := newEtc(t)
	guest := policy.AnonymousAuth{ID: 4, User: "virtual", Names: []string{"virtual", "friend", "both"}, RequirePassword: true}
	h := e.host(func(p *policy.AuthHost) { p.Anonymous = []policy.AnonymousAuth{guest} }, "file")
	alias := guest
	alias.UsingAlias = true
	u := e.host(func(p *policy.AuthHost) { p.Anonymous = []policy.AnonymousAuth{alias} }, "file")
	for _, x := range []struct {
		what         string
		h            *Host
		name, secret string
		reason       string
	}{
		{"the account's password", h, "friend", "right", ""},
		{"a wrong one", h, "friend", "wrong", ReasonPassword},
		{"none", h, "friend", "", ReasonEmpty},
		{"the alias's account's", u, "both", "right", ""},
		{"an alias that is no account", u, "friend", "right", ReasonNoUser},
	} {
		r, _ := outcome(t, x.h, x.name, x.secret)
		if x.reason != "" && (r.Verdict != Denied || r.Reason != x.reason) ||
			x.reason == "" && (r.Verdict != OK || r.Account.User != "virtual" || r.Account.UID != 2001 || r.Anonymous != 4 || r.Email != "") {
			t.Errorf("%s: %+v", x.what, r)
		}
	}
	locked := policy.AnonymousAuth{ID: 5, User: "locked", Names: []string{"locked"}, RequirePassword: true}
	h = e.host(func(p *policy.AuthHost) { p.Anonymous = []policy.AnonymousAuth{locked} }, "file")
	if r, _ := outcome(t, h, "locked", "right"); r.Verdict != Denied || r.Reason != ReasonDisabled {
		t.Errorf("%+v", r)
	}
}

func TestAnAliasMayLeadToAnAnonymousBlock(t *testing.T) {
	e := newEtc(t)
	h := e.host(func(p *policy.AuthHost) {
		p.Aliases = []policy.Alias{{Name: "guest", User: "daemon"}}
		p.Anonymous = []policy.AnonymousAuth{{ID: 2, User: "daemon", Names: []string{"daemon"}}}
	}, "file")
	if r, _ := outcome(t, h, "guest", "x"); r.Verdict != OK || r.Anonymous != 2 || r.Account.User != "daemon" {
		t.Errorf("%+v", r)
	}
}

func TestPasswordsOfTheConfiguration(t *testing.T) {
	e := newEtc(t)
	other := hashed("other")
	h := e.host(func(p *policy.AuthHost) {
		p.Passwords = []string{"virtual:" + other, "locked:" + other, "both:!" + other, "unix:" + other, "ldap:" + other}
	}, "file", "pam")
	yes := func() *PamAnswer { return &PamAnswer{OK: true} }
	for _, x := range []struct {
		name, secret string
		verdict      Verdict
		reason       string
	}{
		{"virtual", "other", OK, ""},
		{"locked", "other", OK, ""}, // it is the configuration's word now
		{"unix", "other", OK, ""},
		{"unix", "right", Denied, ReasonPassword}, // PAM would have said yes
		{"ldap", "other", Denied, ReasonCredentials},
		{"both", "right", Denied, ReasonDisabled},
	} {
		r, steps := drive(h, x.name, x.secret, yes)
		if r.Verdict != x.verdict || r.Reason != x.reason || slices.Contains(steps, "pam") && x.verdict == OK {
			t.Errorf("%s, %s: %+v %v", x.name, x.secret, r, steps)
		}
	}
	if r, _ := drive(h, "virtual", "right", func() *PamAnswer { return &PamAnswer{Declined: true} }); r.Verdict != Denied {
		t.Errorf("the source's own password still counts: %+v", r)
	}
}

func TestBadNamesOfTheConfigurationAreErrors(t *testing.T) {
	e := newEtc(t)
	for what, change := range map[string]func(*policy.AuthHost){
		"a filter":   func(p *policy.AuthHost) { p.Anonymous = []policy.AnonymousAuth{{User: "ftp", Reject: "("}} },
		"a password": func(p *policy.AuthHost) { p.Passwords = []string{"alice"} },
		"a name":     func(p *policy.AuthHost) { p.Passwords = []string{"a/b:" + hashed("x")} },
	} {
		p := policy.AuthHost{Name: "main", SystemDir: e.dir + "/etc"}
		change(&p)
		if _, errs := NewHosts(policy.Authd{Hosts: []policy.AuthHost{p}}, e.dir+"/etc", func(string) {}); len(errs) != 1 {
			t.Errorf("%s: %v", what, errs)
		}
	}
}

// prove runs an attempt by certificate.
func prove(h *Host, name, certificate string, stack *PamAnswer) (Result, []Step) {
	var steps []Step
	a := h.Begin(Request{Name: name, ByCertificate: true, Certificate: certificate})
	for {
		st := a.Next()
		if st.Kind == StepDone {
			return a.Result(), steps
		}
		steps = append(steps, st)
		a.PamDone(*stack)
	}
}

func TestByCertificate(t *testing.T) {
	e := newEtc(t)
	h := e.host(func(p *policy.AuthHost) {
		p.Aliases = []policy.Alias{{Name: "web", User: "virtual"}}
		p.Anonymous = []policy.AnonymousAuth{{ID: 1, User: "daemon", Names: []string{"daemon", "ftp"}}}
	}, "file", "unix")
	for _, x := range []struct{ name, cert, reason string }{
		{"virtual", "virtual", ""},
		{"unix", "unix", ""},
		{"star", "star", ""}, // has no password to use, and needs none
		{"virtual", "", ReasonCertificate},
		{"virtual", "both", ReasonCertificate},
		{"virtual", "Virtual", ReasonCertificate},
		{"web", "web", ReasonCertificate},
		{"web", "virtual", ReasonCertificate},
		{"virtual", "web", ReasonCertificate},
		{"ftp", "ftp", ReasonCertificate},
		{"daemon", "daemon", ReasonCertificate},
		{"", "", ReasonCertificate},
		{"a/b", "a/b", ReasonCertificate},
		{"locked", "locked", ReasonDisabled},
		{"gone", "gone", ReasonDisabled},
		{"must", "must", ReasonExpired},
		{"toor", "toor", ReasonRoot},
		{"rootgroup", "rootgroup", ReasonRoot},
		{"noshell", "noshell", "Invalid shell: '/bin/nope'"},
		{"listed", "listed", ReasonFtpUsers},
		{"nobody-at-all", "nobody-at-all", ReasonNoUser},
	} {
		r, steps := prove(h, x.name, x.cert, nil)
		if x.reason == "" && (r.Verdict != OK || r.Account.User != x.name) || x.reason != "" && (r.Verdict != Denied || r.Reason != x.reason) || len(steps) > 0 {
			t.Errorf("%s by %s: %+v %v", x.name, x.cert, r, steps)
		}
	}
	only := e.host(func(p *policy.AuthHost) { p.AliasOnly = true }, "file")
	if r, _ := prove(only, "virtual", "virtual", nil); r.Reason != ReasonAlias {
		t.Errorf("%+v", r)
	}
}

// TestByCertificateThroughPam: the stack is asked about the account, not for a
// password.
func TestByCertificateThroughPam(t *testing.T) {
	e := newEtc(t)
	h := e.host(nil, "file", "pam*")
	known := func() *PamAnswer {
		return &PamAnswer{OK: true, Known: true, Account: &Account{User: "ldap", UID: 4000, GID: 4000, Shell: "/bin/sh"}}
	}
	r, steps := prove(h, "ldap", "ldap", known())
	if r.Verdict != OK || len(steps) != 1 || steps[0].Kind != StepPam || !steps[0].Account {
		t.Errorf("%+v %v", r, steps)
	}
	if r, _ = prove(h, "ldap", "ldap", &PamAnswer{Reason: ReasonDisabled}); r.Verdict != Denied || r.Reason != ReasonDisabled {
		t.Errorf("%+v", r)
	}
	r, steps = prove(h, "star", "star", &PamAnswer{OK: true}) // the users file leaves its password to PAM
	if r.Verdict != OK || r.Account.UID != 2005 || len(steps) != 1 || !steps[0].Account {
		t.Errorf("%+v %v", r, steps)
	}
	if r, _ = prove(h, "star", "star", &PamAnswer{Reason: ReasonExpired}); r.Verdict != Denied || r.Reason != ReasonExpired {
		t.Errorf("%+v", r)
	}
}
