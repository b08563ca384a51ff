package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/policy"
)

func TestClassesAreSchemeAndCost(t *testing.T) {
	for setting, want := range map[string]string{
		"$y$j9T$salt$hash":                             "$y$j9T",
		"$6$salt$hash":                                 "$6",
		"$6$rounds=1000$salt$hash":                     "$6$rounds=1000",
		"$5$rounds=90000$salt$hash":                    "$5$rounds=90000",
		"$2b$10$saltandhash":                           "$2b$10",
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA": "$argon2id$v=19$m=19456,t=2,p=1",
		"$7$CU..../....saltsalt$hash":                  "$7$CU..../....",
		"$scrypt$ln=15,r=8,p=1$salt$hash":              "$scrypt$ln=15,r=8,p=1",
		"$pbkdf2-sha256$29000$salt$hash":               "$pbkdf2-sha256$29000",
		"$1$salt$hash":                                 "$1",
		"":                                             "",
		"plain":                                        "plai",
		"$":                                            "$",
	} {
		if got := Class(setting); got != want {
			t.Errorf("%q: %q, want %q", setting, got, want)
		}
	}
}

// decoys picks for n names from a pool.
func decoys(h *Host, a accounts, n int) (list []string) {
	for i := range n {
		list = append(list, h.decoy(a, fmt.Sprint("name", i)))
	}
	return list
}

// pool is a source that only has hashes.
type pool struct {
	broken
	list []string
}

func (p pool) hashes() []string { return p.list }

func newPool(yescrypt, bcrypt int) pool {
	var l []string
	for i := range max(yescrypt, bcrypt) {
		if i < bcrypt {
			l = append(l, fmt.Sprintf("$2b$10$%d", i))
		}
		if i < yescrypt {
			l = append(l, fmt.Sprintf("$y$j9T$%d$x", i))
		}
	}
	byClass(l)
	return pool{list: l}
}

// TestDecoysComeInTheProportionsOfTheAccounts and always the same for one name,
// also under a key that came from elsewhere; one account more hardly changes
// which class a name gets.
func TestDecoysComeInTheProportionsOfTheAccounts(t *testing.T) {
	const n = 4000
	h, again := &Host{}, &Host{}
	h.SetKey([]byte("key"))
	again.SetKey([]byte("key"))
	was := decoys(h, newPool(75, 25), n)
	count := 0
	for i, d := range decoys(again, newPool(75, 25), n) {
		if d != was[i] {
			t.Fatal("another decoy for the same name")
		}
		if Class(d) == "$2b$10" {
			count++
		}
	}
	if count < n/4-n/20 || count > n/4+n/20 {
		t.Errorf("%d of %d are bcrypt, a quarter of the accounts is", count, n)
	}
	moved := 0
	for i, d := range decoys(h, newPool(76, 25), n) {
		if Class(d) != Class(was[i]) {
			moved++
		}
	}
	if moved > n/50 {
		t.Errorf("one more account has moved %d of %d names to another class", moved, n)
	}
	if d := h.decoy(pool{}, "x"); d != "" {
		t.Errorf("from nothing: %q", d)
	}
}

// TestWholeAttemptsOnly: what ended early says nothing about what logins cost.
func TestWholeAttemptsOnly(t *testing.T) {
	for _, c := range []struct {
		order, user, secret string
		pam                 func() *PamAnswer
		want                bool
	}{
		{"file", "virtual", "right", nil, true},
		{"file", "virtual", "wrong", nil, true},
		{"file", "ghost", "wrong", nil, true},
		{"file", "locked", "wrong", nil, true},
		{"file unix", "virtual", "right", nil, false}, // the second was not asked
		{"file unix", "virtual", "wrong", nil, true},
		{"file pam*", "virtual", "wrong", pamNo(""), true},
		{"file pam*", "ghost", "wrong", pamNo(""), true},
		{"file pam*", "ghost", "wrong", pamOut, false},
		{"file pam*", "root", "wrong", pamNo(""), false}, // not put to PAM
		{"file", "virtual", "", nil, false},
	} {
		h := newEtc(t).host(nil, strings.Fields(c.order)...)
		a := h.Begin(Request{Name: c.user, Secret: []byte(c.secret)})
		for st := a.Next(); st.Kind != StepDone; st = a.Next() {
			if st.Kind == StepHash {
				a.HashDone(c.secret == "right" && !st.Decoy)
				continue
			}
			if p := c.pam(); p != nil {
				a.PamDone(*p)
			} else {
				a.Fail()
			}
		}
		if a.Whole() != c.want {
			t.Errorf("%s: %s with %q: whole %v", c.order, c.user, c.secret, !c.want)
		}
	}
}

// TestKindsAreWhatAnAttemptMayCost lists one hash a class, a source.
func TestKindsAreWhatAnAttemptMayCost(t *testing.T) {
	h := newEtc(t).host(func(p *policy.AuthHost) { p.LegacyHashes = false }, "file", "unix", "pam*")
	sources, pam := h.Kinds()
	if len(sources) != 3 || pam != 1 {
		t.Fatalf("%d sources, %d of them pam", len(sources), pam)
	}
	for i, s := range sources {
		if len(s) != 1 {
			t.Errorf("source %d: %d classes: %v", i, len(s), s)
		}
	}
	for _, name := range []string{"virtual", "ghost", "a b"} {
		if lines := h.Explain(name); len(lines) < 3 {
			t.Errorf("%s: %v", name, lines)
		}
	}
}

// TestTheStackPaysForWhomItDoesNotKnow: the helper is given a decoy for names
// whose hash no module computes, one of the shadow file's and the same each time.
func TestTheStackPaysForWhomItDoesNotKnow(t *testing.T) {
	h := newEtc(t).host(nil, "pam*")
	for name, want := range map[string]bool{"ldap": true, "unlocked": true, "ghost": true, "unix": false} {
		var first string
		for range 2 {
			st := h.Begin(Request{Name: name, Secret: []byte("wrong")}).Next()
			if st.Kind != StepPam || (st.Setting != "") != want {
				t.Fatalf("%s: %+v", name, st)
			}
			if want && !slices.Contains(h.stack().hashes(), st.Setting) {
				t.Errorf("%s: %s is nobody's", name, st.Setting)
			}
			if first == "" {
				first = st.Setting
			}
			if st.Setting != first {
				t.Errorf("%s: another decoy the second time", name)
			}
		}
	}
	if st := h.Begin(Request{Name: "ldap", ByCertificate: true, Certificate: "ldap"}).Next(); st.Setting != "" {
		t.Errorf("a certificate pays: %+v", st)
	}
}
