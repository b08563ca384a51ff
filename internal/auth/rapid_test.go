package auth

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/crypt"
	"sallyport/internal/policy"
)

// TestNoAnswerOfTheWorldOpensTheDoor drives attempts with any order, name,
// answers and interruptions, and holds what must always be true.
func TestNoAnswerOfTheWorldOpensTheDoor(t *testing.T) {
	e := newEtc(t)
	rapid.Check(t, func(t *rapid.T) {
		var items []string
		for _, s := range rapid.Permutation([]string{"file", "unix", "pam"}).Draw(t, "order")[:rapid.IntRange(0, 3).Draw(t, "n")] {
			items = append(items, s+rapid.SampledFrom([]string{"", "*"}).Draw(t, "final"))
		}
		h := e.host(func(p *policy.AuthHost) {
			p.AllowEmpty = rapid.Bool().Draw(t, "allow empty")
			p.RequireValidShell = rapid.Bool().Draw(t, "shells")
			p.UseFtpUsers = rapid.Bool().Draw(t, "ftpusers")
		}, items...)
		name := rapid.OneOf(rapid.SampledFrom([]string{
			"virtual", "both", "clash", "locked", "star", "odd", "noshell", "listed", "toor", "rootgroup", "nopass", "weak", "root", "unix",
			"daemon", "old", "must", "gone", "grace", "noentry", "inline", "broken", "unlocked",
		}), rapid.StringN(0, 20, 300)).Draw(t, "name")
		size := rapid.SampledFrom([]int{0, 1, 8, 64, 65, 5000}).Draw(t, "size")

		a := h.Begin(Request{Name: name, Secret: make([]byte, size)})
		hashes, yes, busy := 0, false, false
		for steps := 0; ; steps++ {
			if steps > 8 {
				t.Fatal("the attempt does not end")
			}
			st := a.Next()
			if st.Kind == StepDone {
				break
			}
			if st.Kind == StepPam {
				yes = pamStep(t, a) || yes
				continue
			}
			hashes++
			if err := crypt.Check(st.Setting, crypt.Options{}); err != nil {
				t.Fatalf("step with %q: %v", st.Setting, err)
			}
			switch rapid.SampledFrom([]string{"match", "no", "fail", "busy"}).Draw(t, "hash") {
			case "match":
				a.HashDone(true)
				yes = yes || !st.Decoy
			case "no":
				a.HashDone(false)
			case "fail":
				a.Fail()
			case "busy":
				a.Busy()
				busy = true
			}
			if busy {
				break
			}
		}
		r := a.Result()
		t.Log(items, name, size, r)
		bare := size == 0 && h.Policy.AllowEmpty && name == "nopass"
		switch {
		case r.Verdict == OK && !yes && !bare:
			t.Fatal("success without a yes")
		case r.Verdict == OK && (r.Account.UID == 0 || r.Account.GID == 0):
			t.Fatal("root")
		case r.Verdict == OK && (size > 64 || size == 0 && !h.Policy.AllowEmpty):
			t.Fatal("a password of that size")
		case r.Verdict == OK && slices.Contains([]string{"locked", "old", "must", "gone", "broken", "unlocked", "daemon"}, name) && r.Source != "pam" && !pamSaid(items):
			t.Fatal("an account that may not")
		case r.Verdict == OK && r.Account.User == "":
			t.Fatal("nobody")
		case r.Verdict != OK && r.Reason == "":
			t.Fatal("a refusal without a reason")
		case r.Verdict != OK && strings.ContainsAny(name, "/ ") && r.Reason != ReasonNoUser && r.Reason != ReasonEmpty && r.Reason != ReasonTooLong && r.Reason != ReasonBusy:
			t.Fatalf("an odd name differs from an unknown one: %s", r.Reason)
		}
		// the work of a failure is the same whatever the reason
		if want := hashSources(h, a, items, name); r.Verdict != OK && !busy && size > 0 && size <= 64 && hashes != want {
			t.Fatalf("%d hashes, %d sources have some", hashes, want)
		}
		if a.Next().Kind != StepDone && !busy {
			t.Fatal("goes on after its end")
		}
	})
}

func pamStep(t *rapid.T, a *Attempt) (yes bool) {
	uid := rapid.SampledFrom([]uint32{0, 1, 1001, 2001, 4000}).Draw(t, "pam uid")
	switch rapid.SampledFrom([]string{"yes", "bare yes", "no", "declined", "fail"}).Draw(t, "pam") {
	case "yes":
		a.PamDone(PamAnswer{OK: true, Known: true, Account: &Account{User: "x", UID: uid, GID: uid, Shell: "/bin/sh"}})
		return true
	case "bare yes":
		a.PamDone(PamAnswer{OK: true})
		return true
	case "no":
		a.PamDone(PamAnswer{Reason: ReasonPassword})
	case "declined":
		a.PamDone(PamAnswer{Declined: true})
	default:
		a.Fail()
	}
	return false
}

func pamSaid(items []string) bool {
	return slices.ContainsFunc(items, func(s string) bool { return strings.HasPrefix(s, "pam") })
}

// hashSources is how many hashes a failure costs authd: one a source, but for
// what a PAM stack that was asked has computed itself.
func hashSources(h *Host, a *Attempt, items []string, name string) int {
	if h.computable(name) {
		return len(items) - len(a.piped)
	}
	return len(items)
}

func FuzzShadow(f *testing.F) {
	f.Add([]byte("root:*:19000:0:99999:7:::\nbob:$5$x$y:0:0:90:7:30:20000:\n"))
	f.Add([]byte("x\n:::::::::\n+::\nbob:x:-1:-1:-1:-1:-1:-1:-1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, warnings := parseShadow("shadow", data)
		if len(warnings) > 50 {
			t.Fatal("too many warnings")
		}
		for name, e := range entries {
			if name == "" || strings.Contains(name, ":") {
				t.Fatalf("name %q", name)
			}
			_ = e.refusal(today)
		}
		parseList("shells", data)
	})
}
