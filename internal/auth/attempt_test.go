package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/crypt"
	"sallyport/internal/policy"
)

// today is day 20000 for every test.
var today = time.Unix(20000*86400+3600, 0)

var made sync.Map

// hashed returns a cheap hash of secret, the same one every time.
func hashed(secret string) string {
	if h, ok := made.Load(secret); ok {
		return h.(string)
	}
	h, err := crypt.Hash([]byte(secret), "sha256")
	if err != nil {
		panic(err)
	}
	made.Store(secret, h)
	return h
}

// etc is a system directory and a users file.
type etc struct {
	t     testing.TB
	dir   string
	files map[string]string
	said  []string
}

func newEtc(t testing.TB) *etc {
	right, other := hashed("right"), hashed("other")
	e := &etc{t: t, dir: t.TempDir(), files: map[string]string{
		"users": "virtual:" + right + ":2001:2001::/srv/virtual:/bin/sh\n" +
			"both:" + right + ":1500:1500::/srv/both:/bin/sh\n" +
			"clash:" + right + ":2003:2003::/srv/clash:/bin/sh\n" +
			"locked:!" + right + ":2004:2004::/srv/locked:/bin/sh\n" +
			"star:*:2005:2005::/srv/star:/bin/sh\n" +
			"odd:right:2006:2006::/srv/odd:/bin/sh\n" +
			"noshell:" + right + ":2007:2007::/srv/noshell:/bin/nope\n" +
			"listed:" + right + ":2008:2008::/srv/listed:/bin/sh\n" +
			"toor:" + right + ":0:0::/root:/bin/sh\n" +
			"rootgroup:" + right + ":2009:0::/srv/rg:/bin/sh\n" +
			"nopass::2010:2010::/srv/nopass:/bin/sh\n" +
			"weak:$1$5nZWoowt$E8gcsCvVoj7xahJYpbsTX0:2011:2011::/srv/weak:/bin/sh\n",
		"groups": "staff:x:3000:virtual,both\nvirtual:x:2001:\n",
		"etc/passwd": "root:x:0:0::/root:/bin/bash\nunix:x:1001:1001::/home/unix:/bin/sh\nboth:x:1500:1500::/home/both:/bin/sh\n" +
			"clash:x:1503:1503::/home/clash:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nold:x:1005:1005::/home/old:/bin/sh\n" +
			"must:x:1006:1006::/home/must:/bin/sh\ngone:x:1007:1007::/home/gone:/bin/sh\ngrace:x:1008:1008::/home/grace:/bin/sh\n" +
			"noentry:x:1009:1009::/home/n:/bin/sh\ninline:" + right + ":1010:1010::/home/i:\nbroken:x:1011:1011::/home/b:/bin/sh\nunlocked:!" + right + ":1012:1012::/h:/bin/sh\n",
		"etc/shadow": "root:" + right + ":19000::::::\nunix:" + right + ":19000:0:99999:7:::\nboth:" + other + ":19000:0:99999:7:::\n" +
			"clash:" + other + ":19000:0:99999:7:::\ndaemon:" + right + ":19000::::::\n" +
			"old:" + right + ":19000:0:90:7:30::\nmust:" + right + ":0:0:90:7:::\ngone:" + right + ":19000::::19999:20000:\n" +
			"grace:" + right + ":19900:0:90:7:30::\nbroken:" + right + ":x:0:90:7:::\nunlocked:!:19000::::::\n",
		"etc/group":     "unix:x:1001:\nwheel:x:10:unix\n",
		"etc/shells":    "# valid\n/bin/sh\n/bin/bash\n",
		"etc/ftpusers":  "# refused\nlisted\nroot # always\n",
		"etc/pam.d/ftp": "auth required pam_unix.so\n",
	}}
	for name, content := range e.files {
		e.write(name, content)
	}
	return e
}

func (e *etc) write(name, content string) {
	path := filepath.Join(e.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func order(items ...string) []policy.AuthSource {
	var out []policy.AuthSource
	for _, i := range items {
		name, final := strings.CutSuffix(i, "*")
		out = append(out, policy.AuthSource{Name: name, Final: final})
	}
	return out
}

func (e *etc) host(change func(*policy.AuthHost), sources ...string) *Host {
	e.t.Helper()
	p := policy.AuthHost{
		Name: "main", Order: order(sources...), Users: filepath.Join(e.dir, "users"), Groups: filepath.Join(e.dir, "groups"),
		PamService: "ftp", RequireValidShell: true, UseFtpUsers: true, MaxPasswordSize: 64, LoginAttempts: 3, MinUID: 1000,
		SystemDir: filepath.Join(e.dir, "etc"),
	}
	if change != nil {
		change(&p)
	}
	hosts, errs := NewHosts(policy.Authd{Hosts: []policy.AuthHost{p}}, filepath.Join(e.dir, "etc"), func(s string) { e.said = append(e.said, s) })
	for _, err := range errs {
		e.t.Log(err)
	}
	h := hosts["main"]
	h.now = func() time.Time { return today }
	return h
}

// drive runs an attempt to its end; steps tells what was done: "hash", "decoy",
// "pam". stack plays PAM: nil is an outage.
func drive(h *Host, name, secret string, stack func() *PamAnswer) (Result, []string) {
	return finish(h, h.Begin(Request{Name: name, Secret: []byte(secret)}), secret, stack)
}

func finish(h *Host, a *Attempt, secret string, stack func() *PamAnswer) (Result, []string) {
	var steps []string
	for {
		st := a.Next()
		switch st.Kind {
		case StepDone:
			return a.Result(), steps
		case StepPam:
			steps = append(steps, "pam")
			if p := stack(); p != nil {
				a.PamDone(*p)
			} else {
				a.Fail()
			}
		default:
			word := "hash"
			if st.Decoy {
				word = "decoy"
			}
			steps = append(steps, word)
			ok, err := crypt.Verify(st.Setting, []byte(secret), crypt.Options{Legacy: h.Policy.LegacyHashes})
			if err != nil {
				panic(err)
			}
			a.HashDone(ok)
		}
	}
}

func pamYes(uid uint32) func() *PamAnswer {
	return func() *PamAnswer {
		return &PamAnswer{OK: true, Known: true, Account: &Account{User: "ldap", UID: uid, GID: uid, Home: "/home/ldap", Shell: "/bin/sh"}}
	}
}

func pamNo(reason string) func() *PamAnswer {
	return func() *PamAnswer { return &PamAnswer{Declined: reason == "", Reason: reason} }
}

func pamOut() *PamAnswer { return nil }

func pamPaid() *PamAnswer { return &PamAnswer{Declined: true, Paid: true} }

// TestARefusedAttemptCostsWhatEveryFailureCosts, whatever the password; and none
// is let in.
func TestARefusedAttemptCostsWhatEveryFailureCosts(t *testing.T) {
	h := newEtc(t).host(func(p *policy.AuthHost) {
		p.Anonymous = []policy.AnonymousAuth{{ID: 1, User: "virtual", Names: []string{"ftp"}}}
	}, "file", "unix")
	for _, name := range []string{"virtual", "unix", "both", "nobody-has-it", "ftp", "toor"} {
		for _, secret := range []string{"right", "wrong"} {
			a := h.Begin(Request{Name: name, Secret: []byte(secret)})
			a.Refuse("banned")
			got, steps := finish(h, a, secret, pamOut)
			if got.Verdict != Denied || got.Account != nil {
				t.Errorf("%s %s: %+v", name, secret, got)
			}
			if known := name != "nobody-has-it" && name != "toor"; known && got.Reason != "banned" {
				t.Errorf("%s %s: %q", name, secret, got.Reason)
			}
			_, want := drive(h, name, "wrong", pamOut)
			if name == "ftp" { // nothing refuses it but this
				want = []string{"decoy", "decoy"}
			}
			if len(steps) != len(want) {
				t.Errorf("%s %s: steps %v, those of a wrong password %v", name, secret, steps, want)
			}
		}
	}
	if a := h.Begin(Request{Name: "toor", Secret: []byte("right")}); !a.Root() {
		t.Error("toor is uid 0")
	}
	if a := h.Begin(Request{Name: "rootgroup", Secret: []byte("right")}); a.Root() {
		t.Error("rootgroup is not uid 0")
	}
}

func TestLoginDecision(t *testing.T) {
	const tooLong = "12345678901234567890123456789012345678901234567890123456789012345"
	legacy := func(p *policy.AuthHost) { p.LegacyHashes = true }
	rootLogin := func(p *policy.AuthHost) { p.RootLogin = true; p.UseFtpUsers = false }
	empty := func(p *policy.AuthHost) { p.AllowEmpty = true }
	lax := func(p *policy.AuthHost) { p.RequireValidShell = false; p.UseFtpUsers = false }
	for _, c := range []struct {
		name         string
		order        string
		change       func(*policy.AuthHost)
		user, secret string
		stack        func() *PamAnswer
		want         string // verdict, uid or reason, source
		steps        string
	}{
		{"virtual user", "file", nil, "virtual", "right", nil, "ok 2001 file", "hash"},
		{"wrong password", "file", nil, "virtual", "wrong", nil, "no Incorrect password file", "hash"},
		{"unknown user", "file", nil, "nobody", "right", nil, "no no such user found", "decoy"},
		{"names are case-sensitive", "file", nil, "Virtual", "right", nil, "no no such user found", "decoy"},
		{"locked, with its former password", "file", nil, "locked", "right", nil, "no Account disabled file", "decoy"},
		{"star", "file", nil, "star", "*", nil, "no Unavailable credentials file", "decoy"},
		{"plain text is no hash", "file", nil, "odd", "right", nil, "no Unavailable credentials file", "decoy"},
		{"md5", "file", nil, "weak", "secret", nil, "no Unavailable credentials file", "decoy"},
		{"md5, allowed", "file", legacy, "weak", "secret", nil, "ok 2011 file", "hash"},
		{"shell not listed", "file", nil, "noshell", "right", nil, "no Invalid shell: '/bin/nope' file", "hash"},
		{"shell not asked for", "file", lax, "noshell", "right", nil, "ok 2007 file", "hash"},
		{"in ftpusers", "file", nil, "listed", "right", nil, "no User in /etc/ftpusers file", "hash"},
		{"in ftpusers, wrong password", "file", nil, "listed", "wrong", nil, "no Incorrect password file", "hash"},
		{"ftpusers not asked", "file", lax, "listed", "right", nil, "ok 2008 file", "hash"},
		{"uid 0 in the users file", "file", nil, "toor", "right", nil, "no SECURITY VIOLATION: Root login attempted file", "decoy"},
		{"uid 0, allowed", "file", rootLogin, "toor", "right", nil, "ok 0 file", "hash"},
		{"gid 0 in the users file", "file", nil, "rootgroup", "right", nil, "no SECURITY VIOLATION: Root login attempted file", "decoy"},
		{"empty hash", "file", nil, "nopass", "right", nil, "no Unavailable credentials file", "decoy"},
		{"empty password, not allowed", "file", nil, "nopass", "", nil, "no Incorrect password: empty", ""},
		{"empty password, allowed", "file", empty, "nopass", "", nil, "ok 2010 file", ""},
		{"empty password of a user who has one", "file", empty, "virtual", "", nil, "no Incorrect password file", ""},
		{"any password for an empty hash, allowed", "file", empty, "nopass", "x", nil, "no Unavailable credentials file", "decoy"},
		{"too long a password", "file", nil, "virtual", tooLong, nil, "no Incorrect password: longer than max_password_size", ""},
		{"a name with a slash", "file", nil, "../virtual", "right", nil, "no no such user found", "decoy"},
		{"a name with a blank", "file pam*", nil, "vir tual", "right", pamYes(1), "no no such user found", "decoy decoy"},

		{"system user", "unix", nil, "unix", "right", nil, "ok 1001 unix", "hash"},
		{"root with the right password", "unix", nil, "root", "right", nil, "no SECURITY VIOLATION: Root login attempted unix", "decoy"},
		{"root, allowed", "unix", rootLogin, "root", "right", nil, "ok 0 unix", "hash"},
		{"a system account below min_uid", "unix", nil, "daemon", "right", nil, "no uid 1 is below min_uid unix", "hash"},
		{"password expired", "unix", nil, "old", "right", nil, "no Password expired unix", "hash"},
		{"password expired, wrong one", "unix", nil, "old", "wrong", nil, "no Incorrect password unix", "hash"},
		{"password to be changed", "unix", nil, "must", "right", nil, "no Password expired unix", "hash"},
		{"account expired", "unix", nil, "gone", "right", nil, "no Account disabled unix", "hash"},
		{"days of grace", "unix", nil, "grace", "right", nil, "ok 1008 unix", "hash"},
		{"no shadow entry", "unix", nil, "noentry", "right", nil, "no Unavailable credentials unix", "decoy"},
		{"a hash in passwd, an empty shell", "unix", nil, "inline", "right", nil, "ok 1010 unix", "hash"},
		{"a broken shadow line locks", "unix", nil, "broken", "right", nil, "no Account disabled unix", "decoy"},

		{"the first source decides who it is", "file unix*", nil, "both", "right", nil, "ok 1500 file", "hash"},
		{"the second source's password, same uid", "file unix*", nil, "both", "other", nil, "ok 1500 file", "hash hash"},
		{"the second source's password, another uid", "file unix*", nil, "clash", "other", nil, "no Unknown authentication information unix", "hash hash"},
		{"wrong in both", "file unix*", nil, "both", "wrong", nil, "no Incorrect password unix", "hash hash"},
		{"a final source is the last", "file* unix", nil, "both", "other", nil, "no Incorrect password file", "hash decoy"},
		{"a final source that does not know the name", "file* unix", nil, "unix", "right", nil, "no no such user found", "decoy decoy"},
		{"unknown everywhere", "file unix*", nil, "nobody", "right", nil, "no no such user found", "decoy decoy"},
		{"only in the second", "file unix*", nil, "unix", "right", nil, "ok 1001 unix", "hash"},
		{"only in the second, wrong", "file unix*", nil, "unix", "wrong", nil, "no Incorrect password unix", "hash decoy"},

		{"pam", "file pam*", nil, "ldap", "right", pamYes(1700), "ok 1700 pam", "pam"},
		{"pam says no", "file pam*", nil, "ldap", "wrong", pamNo(ReasonPassword), "no Incorrect password pam", "pam decoy decoy"},
		{"pam does not know the user", "file pam*", nil, "ldap", "wrong", pamNo(""), "no no such user found", "pam decoy decoy"},
		{"pam does not know the user, the next source does", "pam unix", nil, "unix", "right", pamNo(""), "ok 1001 unix", "pam hash"},
		{"pam is final", "pam* unix", nil, "unix", "right", pamNo(""), "no no such user found", "pam decoy"},
		{"pam computes the hash of a system user", "pam*", nil, "unix", "wrong", pamNo(ReasonPassword), "no Incorrect password pam", "pam"},
		{"a system user who is locked has a decoy", "pam*", nil, "unlocked", "wrong", pamNo(ReasonPassword), "no Incorrect password pam", "pam decoy"},
		{"pam makes a root", "pam*", nil, "ldap", "right", pamYes(0), "no SECURITY VIOLATION: Root login attempted pam", "pam decoy"},
		{"root is not put to pam", "pam*", nil, "root", "right", pamYes(0), "no SECURITY VIOLATION: Root login attempted pam", "decoy"},
		{"pam, below min_uid", "pam*", nil, "ldap", "right", pamYes(999), "no uid 999 is below min_uid pam", "pam decoy"},
		{"pam pays for whom it does not know", "file pam*", nil, "ldap", "wrong", pamPaid, "no no such user found", "pam decoy"},
		{"pam pays for somebody who is locked", "pam*", nil, "unlocked", "wrong", pamPaid, "no no such user found", "pam"},
		{"pam is down", "file pam*", nil, "ldap", "right", pamOut, "out", "pam decoy decoy"},
		{"pam is down, a virtual user", "file pam*", nil, "virtual", "right", pamOut, "ok 2001 file", "hash"},
		{"pam is down, a virtual user's wrong password", "file pam*", nil, "virtual", "wrong", pamOut, "out", "hash pam decoy"},
		{
			"pam verifies, the users file says who", "file pam*", nil, "star", "any",
			func() *PamAnswer { return &PamAnswer{OK: true} }, "ok 2005 file", "pam",
		},
		{"pam refuses whom the users file leaves to it", "file pam*", nil, "star", "any", pamNo(""), "no Incorrect password pam", "pam decoy decoy"},
		{
			"pam verifies somebody nobody knows", "file pam*", nil, "ghost", "any",
			func() *PamAnswer { return &PamAnswer{OK: true} }, "no Unknown authentication information pam", "pam decoy decoy",
		},
		{"a name of the users file is another's in pam", "file pam*", nil, "virtual", "other", pamYes(1700), "no Unknown authentication information pam", "hash pam decoy"},

		{"nobody may log in", "", nil, "virtual", "right", nil, "no no such user found", ""},
		{"no users file", "file", func(p *policy.AuthHost) { p.Users = "" }, "virtual", "right", nil, "no no such user found", ""},
		{"a missing users file", "file", func(p *policy.AuthHost) { p.Users += ".not" }, "virtual", "right", nil, "out", ""},
		{"a missing users file, and the system", "file unix*", func(p *policy.AuthHost) { p.Users += ".not" }, "unix", "right", nil, "ok 1001 unix", "hash"},
		{"a missing users file, wrong in the system", "file unix*", func(p *policy.AuthHost) { p.Users += ".not" }, "unix", "wrong", nil, "out", "hash"},
		{"a missing groups file", "file", func(p *policy.AuthHost) { p.Groups += ".not" }, "virtual", "right", nil, "out", "decoy"},
		{"a pam service without a file", "pam*", func(p *policy.AuthHost) { p.PamService = "not" }, "ldap", "right", pamYes(1700), "out", ""},
		{"a pam service that is a path", "pam*", func(p *policy.AuthHost) { p.PamService = "../pam.d/ftp" }, "ldap", "right", pamYes(1700), "out", ""},
		{"an unknown source", "magic file", nil, "virtual", "right", nil, "out", "decoy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEtc(t).host(c.change, strings.Fields(c.order)...)
			r, steps := drive(h, c.user, c.secret, c.stack)
			if d := cmp.Diff(strings.TrimSpace(c.want), show(r)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(strings.Fields(c.steps), steps); d != "" && len(steps)+len(strings.Fields(c.steps)) > 0 {
				t.Error(d)
			}
		})
	}
}

func show(r Result) string {
	switch r.Verdict {
	case OK:
		return fmt.Sprintf("ok %d %s", r.Account.UID, r.Source)
	case Unavailable:
		return "out"
	}
	return strings.TrimSpace("no " + r.Reason + " " + r.Source)
}

func TestAccountsCarryTheirGroups(t *testing.T) {
	h := newEtc(t).host(nil, "file", "unix*")
	r, _ := drive(h, "virtual", "right", nil)
	a := r.Account
	if a == nil || !slices.Equal(a.Groups, []uint32{3000}) || !slices.Equal(a.GroupNames, []string{"virtual", "staff"}) || a.Home != "/srv/virtual" {
		t.Errorf("%+v", a)
	}
	r, _ = drive(h, "unix", "right", nil)
	if a := r.Account; a == nil || !slices.Equal(a.Groups, []uint32{10}) || !slices.Equal(a.GroupNames, []string{"unix", "wheel"}) {
		t.Errorf("%+v", a)
	}
}

func TestClashingSourcesAreExplained(t *testing.T) {
	r, _ := drive(newEtc(t).host(nil, "file", "unix*"), "clash", "other", nil)
	if !strings.Contains(r.Warning, "uid 2003 in source file and uid 1503 in source unix") {
		t.Errorf("%q", r.Warning)
	}
}

func TestEditsCountAtTheNextLogin(t *testing.T) {
	e := newEtc(t)
	h := e.host(nil, "file", "unix*")
	e.write("users", "fresh:"+hashed("new")+":2100:2100::/srv/fresh:/bin/sh\n")
	if r, _ := drive(h, "fresh", "new", nil); r.Verdict != OK {
		t.Errorf("%+v", r)
	}
	if r, _ := drive(h, "virtual", "right", nil); r.Verdict == OK {
		t.Errorf("%+v", r)
	}
	e.write("etc/ftpusers", "fresh\n")
	if r, _ := drive(h, "fresh", "new", nil); r.Reason != ReasonFtpUsers {
		t.Errorf("%+v", r)
	}
	must(t, os.Remove(filepath.Join(e.dir, "etc/ftpusers")))
	must(t, os.Remove(filepath.Join(e.dir, "etc/shells")))
	if r, _ := drive(h, "fresh", "new", nil); r.Verdict != OK {
		t.Errorf("without ftpusers and shells: %+v", r)
	}
	if err := os.Chmod(filepath.Join(e.dir, "users"), 0o666); err != nil {
		t.Fatal(err)
	}
	e.said = nil
	if r, _ := drive(h, "fresh", "new", nil); r.Verdict != OK {
		t.Errorf("the last good content: %+v", r)
	}
	if len(e.said) != 1 || !strings.Contains(e.said[0], "world-writable") {
		t.Errorf("%q", e.said)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamesForIDs(t *testing.T) {
	e := newEtc(t)
	h := e.host(nil, "file", "pam*")
	for id, want := range map[uint32]string{2001: "virtual", 1001: "unix", 0: "toor", 99999: ""} {
		if got := h.UserName(id); got != want {
			t.Errorf("uid %d: %q, want %q", id, got, want)
		}
	}
	for id, want := range map[uint32]string{3000: "staff", 10: "wheel", 99999: ""} {
		if got := h.GroupName(id); got != want {
			t.Errorf("gid %d: %q, want %q", id, got, want)
		}
	}
	if got := e.host(nil, "file").UserName(1001); got != "" {
		t.Errorf("a name of a source that is not asked: %q", got)
	}
}

// TestDecoysAreTheRealAccountsCosts: the same name always gets the same hash,
// and all of the source's hashes are used.
func TestDecoysAreTheRealAccountsCosts(t *testing.T) {
	e := newEtc(t)
	e.write("users", "a:"+hashed("a")+":2001:2001::/srv:/bin/sh\nb:"+hashed("b")+":2002:2002::/srv:/bin/sh\nc:!"+hashed("c")+":2003:2003::/srv:/bin/sh\n")
	h := e.host(nil, "file")
	seen := make(map[string]int)
	for i := range 200 {
		name := fmt.Sprintf("nobody%d", i)
		d := h.decoy(h.sources[0].accounts, name)
		if d != h.decoy(h.sources[0].accounts, name) {
			t.Fatalf("%s: another decoy", name)
		}
		seen[d]++
	}
	if len(seen) != 2 || seen[hashed("a")] < 50 || seen[hashed("b")] < 50 {
		t.Errorf("%v", seen)
	}
}
