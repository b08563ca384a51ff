package access

import (
	"testing"

	"sallyport/internal/policy"
)

func users(names ...string) policy.Selector { return policy.Selector{User: items(names...)} }

// TestChoicesTakeTheFirstThatFits holds for the settings of a host, of a class
// and of an anonymous block, all compiled by New, and for others.
func TestChoicesTakeTheFirstThatFits(t *testing.T) {
	set := policy.Settings{
		Chdir: []policy.Choice{
			{Path: "incoming/%u/.", Selector: users("up")},
			{Path: "/srv/%u", Selector: users("abs", "a/b")},
			{Path: "~/x", Selector: users("tilde", "homeless")},
			{Path: "lost", Selector: policy.Selector{Match: "regex", User: items("(")}},
			{Path: "in/%u", Selector: users("..")},
			{Path: "rest", Selector: policy.Selector{Class: items("lan")}},
		},
		StoreSizes: []policy.SizeFor{{Max: 20, Selector: policy.Selector{Group: items("video")}}, {Max: 0, Selector: users("free")}, {Max: 2}},
		RetrieveSizes: []policy.SizeFor{
			{Max: 7, Selector: policy.Selector{Match: "regex", User: items("^u")}},
		},
		Rates: []policy.RateFor{
			{PerSecond: 1, Free: 10, Commands: []string{"RETR"}, Selector: users("up")},
			{PerSecond: 2, Commands: []string{"RETR", "STOR"}},
			{PerSecond: 3, Commands: []string{"STOR"}, Selector: users("up")},
		},
		TimeoutSession: []policy.TimeoutFor{{Seconds: 60, Selector: users("up")}, {Seconds: 0, Selector: users("free")}, {Seconds: 90}},
	}
	host := policy.Host{Base: set, ByClass: []policy.ClassSettings{{Class: "lan", Settings: set}}}
	host.Base.Anonymous = []policy.Anonymous{{ID: 3, Settings: set}, {ID: 4}}
	p := &policy.Policy{Hosts: []policy.Host{host}}
	h := &p.Hosts[0]
	r := New(p)
	if a := Anonymous(&h.Base, 3); a != &h.Base.Anonymous[0] || Anonymous(&h.Base, 5) != nil || Anonymous(&policy.Settings{Anonymous: make([]policy.Anonymous, 1)}, 0) != nil {
		t.Error("the anonymous block of an id is not found")
	}
	for name, s := range map[string]*policy.Settings{"host": &h.Base, "class": h.For("lan"), "anonymous": &Anonymous(&h.Base, 3).Settings, "unknown": &set} {
		if _, known := r.choices[s]; known == (name == "unknown") {
			t.Errorf("%s: compiled %v", name, known)
		}
		for _, c := range []struct {
			u           User
			class       string
			chdir       string
			store, retr int64
			session     uint32
			down, up    uint64
			free        uint64
		}{
			{User{Name: "up", Home: "/h"}, "", "incoming/up", 2, 7, 60, 1, 2, 10},
			{User{Name: "abs"}, "", "/srv/abs", 2, 0, 90, 2, 2, 0},
			{User{Name: "a/b"}, "", "", 2, 0, 90, 2, 2, 0},
			{User{Name: "tilde", Home: "/home/t"}, "", "/home/t/x", 2, 0, 90, 2, 2, 0},
			{User{Name: "homeless"}, "", "", 2, 0, 90, 2, 2, 0},
			{User{Name: ".."}, "", "", 2, 0, 90, 2, 2, 0},
			{User{Name: "free", Groups: []string{"x"}}, "lan", "rest", 0, 0, 0, 2, 2, 0},
			{User{Name: "free", Groups: []string{"video"}}, "", "", 20, 0, 0, 2, 2, 0},
		} {
			down, free := r.Rate(s, c.u, c.class, "RETR")
			up, _ := r.Rate(s, c.u, c.class, "STOR")
			if none, _ := r.Rate(s, c.u, c.class, "APPE"); none != 0 {
				t.Errorf("%s, %s: APPE at %d", name, c.u.Name, none)
			}
			if got := r.Chdir(s, c.u, c.class); got != c.chdir {
				t.Errorf("%s, %s: starts in %q, want %q", name, c.u.Name, got, c.chdir)
			}
			if st, re, ses := r.MaxStore(s, c.u, c.class), r.MaxRetrieve(s, c.u, c.class), r.SessionTimeout(s, c.u, c.class); st != c.store || re != c.retr || ses != c.session ||
				down != c.down || up != c.up || free != c.free {
				t.Errorf("%s, %s: store %d retrieve %d session %d rates %d(%d) %d, want %+v", name, c.u.Name, st, re, ses, down, free, up, c)
			}
		}
	}
}

// BenchmarkChoose shows that a login compiles nothing.
func BenchmarkChoose(b *testing.B) {
	p := &policy.Policy{Hosts: []policy.Host{{Base: policy.Settings{Rates: []policy.RateFor{
		{PerSecond: 1, Commands: []string{"RETR"}, Selector: policy.Selector{Match: "regex", User: items("^[a-m]")}},
	}}}}}
	r, u := New(p), User{Name: "alice", Home: "/h"}
	b.ReportAllocs()
	for b.Loop() {
		if n, _ := r.Rate(&p.Hosts[0].Base, u, "", "RETR"); n != 1 {
			b.Fatal(n)
		}
	}
}
