package delay

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/internal/policy"
)

const ms = time.Millisecond

func least(time.Duration) time.Duration  { return 0 }
func most(n time.Duration) time.Duration { return n }

func from(a string) *Donor { return &Donor{Network: Share(netip.MustParseAddr(a))} }

// warmRow is a PASS row with n samples of about work, from as many networks as
// it takes, and start rows of about start.
func warmRow(t *Table, n int, work, start time.Duration) *Row {
	r := t.Pass("main", "ftp", 1)
	g := rand.New(rand.NewPCG(1, 2))
	noisy := func(d time.Duration) time.Duration {
		f := 1 + 0.03*g.NormFloat64()
		if g.IntN(50) == 0 {
			f *= 1.5 // a busy moment
		}
		return time.Duration(float64(d) * f)
	}
	for i := range n {
		d := from(fmt.Sprintf("10.%d.%d.1", i/200, i%200))
		r.Add(noisy(work), d)
		r.Start().Add(noisy(start), d)
	}
	return r
}

func TestTheGrid(t *testing.T) {
	for _, c := range []struct{ d, want time.Duration }{
		{0, 5 * ms},
		{1, 5 * ms},
		{5 * ms, 5 * ms},
		{5*ms + 1, 10 * ms},
		{80 * ms, 80 * ms},
		{80*ms + 1, 90 * ms},
		{160 * ms, 160 * ms},
		{161 * ms, 180 * ms},
		{time.Second, 1040 * ms},
	} {
		if got := GridUp(c.d); got != c.want {
			t.Errorf("GridUp(%v) = %v, want %v", c.d, got, c.want)
		}
	}
}

// TestNothingLeavesBeforeItsDeadline: an answer leaves on the grid, not before
// its work is done, and at the deadline whenever the work allows.
func TestNothingLeavesBeforeItsDeadline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := GridUp(time.Duration(rapid.Int64Range(1, int64(2*time.Second)).Draw(t, "deadline")))
		w := time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "work"))
		got := Release(w, d)
		switch {
		case w <= d && got != d:
			t.Fatalf("work of %v leaves at %v, deadline %v", w, got, d)
		case got < w || got < d || (got-d)%Overrun(d) != 0:
			t.Fatalf("work of %v leaves at %v: not on the grid of %v", w, got, d)
		case w > d && got-w >= Overrun(d):
			t.Fatalf("work of %v waits until %v", w, got)
		}
	})
}

func TestAColdRowStandsOnItsFloor(t *testing.T) {
	r := NewTable(nil).Pass("main", "ftp", 1)
	if r.Deadline != GridUp((ColdPass+ColdStart)*5/4) {
		t.Errorf("nothing known: %v", r.Deadline)
	}
	r.SetFloor(30 * ms)
	if want := GridUp((30*ms + ColdStart) * 5 / 4); r.Deadline != want {
		t.Errorf("floor of 30 ms: %v, want %v", r.Deadline, want)
	}
	for range Warm - 1 { // fast failures do not pull it down
		r.Add(0, from("192.0.2.1"))
	}
	if want := GridUp((30*ms + ColdStart) * 5 / 4); r.Deadline != want {
		t.Errorf("still cold: %v, want %v", r.Deadline, want)
	}
	for i := range 4 * Samples {
		r.Add(0, from(fmt.Sprintf("10.0.%d.1", i%250)))
	}
	if r.Deadline < 30*ms {
		t.Errorf("depressed to %v, the hash costs 30 ms", r.Deadline)
	}
}

// TestALoginIsNotMadeMuchSlower: the deadline is at most 1.5 times what the step
// costs, plus a step of the grid, for all costs.
func TestALoginIsNotMadeMuchSlower(t *testing.T) {
	for _, work := range []time.Duration{ms / 2, 5 * ms, 30 * ms, 70 * ms, 250 * ms, time.Second} {
		r := warmRow(NewTable(nil), Samples, work, 3*ms)
		cost := work + 3*ms
		if r.Deadline > cost*3/2+GridStep(cost*3/2) || r.Deadline < cost {
			t.Errorf("work of %v: deadline %v", cost, r.Deadline)
		}
		above := 0
		for _, s := range r.Sorted() {
			if s+3*ms > r.Deadline {
				above++
			}
		}
		if above > Samples/20 {
			t.Errorf("work of %v: %d of %d samples beyond %v", work, above, Samples, r.Deadline)
		}
	}
}

func TestSharesAreBounded(t *testing.T) {
	r := NewTable(nil).Pass("main", "ftp", 1)
	d := from("192.0.2.1")
	taken := 0
	for range 40 {
		if r.Add(ms, d) {
			taken++
		}
	}
	if taken != PerSession || r.Count != PerSession {
		t.Errorf("one session: %d taken, %d there", taken, r.Count)
	}
	for i := range 50 {
		r.Add(time.Duration(i)*ms, from(fmt.Sprintf("192.0.2.%d", i)))
	}
	if r.Count != PerNetwork || r.owned[d.Network] != PerNetwork {
		t.Errorf("one network: %d samples, %d its own", r.Count, r.owned[d.Network])
	}
	if s := r.Sorted(); s[len(s)-1] != 49*ms || s[0] < 18*ms {
		t.Errorf("its newest samples are kept: %v to %v", s[0], s[len(s)-1])
	}
	for i := range 3 * Samples {
		r.Add(2*ms, from(fmt.Sprintf("2001:db8:%x::1", i)))
	}
	if r.Count != Samples || r.owned[d.Network] != 0 || len(r.owned) != Samples {
		t.Errorf("afterwards: %d samples of %d networks, %d of the first", r.Count, len(r.owned), r.owned[d.Network])
	}
	if r.Add(ms, &Donor{}) || r.Add(-1, from("192.0.2.9")) {
		t.Error("a sample of nobody, or from before its time, was taken")
	}
}

// TestOneNetworkCannotMoveTheDeadline: whatever times a network could bring
// about, in thousands of sessions, and however fast others come, the deadline
// moves by less than a tenth.
func TestOneNetworkCannotMoveTheDeadline(t *testing.T) {
	attack := func(t *testing.T, work, evil time.Duration, part int, seed uint64) {
		r := warmRow(NewTable(nil), Samples, work, 3*ms)
		before := r.Deadline
		g := rand.New(rand.NewPCG(seed, 1))
		noise := func(d time.Duration) time.Duration { return time.Duration(float64(d) * (1 + 0.03*g.NormFloat64())) }
		for i := range 10_000 {
			d := from(fmt.Sprintf("203.0.113.%d", i%256))
			r.Add(evil, d)
			r.Start().Add(evil, d)
			for range part {
				a := from(fmt.Sprintf("10.1.%d.1", g.IntN(256)))
				r.Add(noise(work), a)
				r.Start().Add(noise(3*ms), a)
			}
			if d := r.Deadline - before; d*10 > before || -d*10 > before {
				t.Fatalf("work %v, hostile %v, %d others: after session %d %v has become %v", work, evil, part, i, before, r.Deadline)
			}
		}
	}
	for _, evil := range []time.Duration{0, ms, time.Second, time.Hour} { // the corners
		attack(t, 30*ms, evil, 0, 1)
		attack(t, 60*ms, evil, 2, 2)
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 10 {
			return
		}
		attack(t, time.Duration(rapid.Int64Range(int64(10*ms), int64(300*ms)).Draw(rt, "work")),
			time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "evil")),
			rapid.IntRange(0, 2).Draw(rt, "others"), rapid.Uint64().Draw(rt, "seed"))
	})
}

// TestManyHostileNetworksWithRealWork: sessions from everywhere that can only
// cause what work really costs move nothing either.
func TestManyHostileNetworksWithRealWork(t *testing.T) {
	r := warmRow(NewTable(nil), Samples, 30*ms, 3*ms)
	before := r.Deadline
	g := rand.New(rand.NewPCG(3, 4))
	for i := range 10_000 {
		r.Add(time.Duration(float64(30*ms)*(1+0.05*g.NormFloat64())), from(fmt.Sprintf("10.%d.%d.1", i/250, i%250)))
		if d := r.Deadline - before; d*10 > before || -d*10 > before {
			t.Fatalf("session %d: %v has become %v", i, before, r.Deadline)
		}
	}
}

// TestTheDeadlineFollowsADearerHash: an administrator's change is learned.
func TestTheDeadlineFollowsADearerHash(t *testing.T) {
	for _, work := range []time.Duration{200 * ms, 2 * ms} {
		r := warmRow(NewTable(nil), Samples, 30*ms, 3*ms)
		for i := range 3 * Samples {
			r.Add(work, from(fmt.Sprintf("10.%d.%d.1", 100+i/250, i%250)))
		}
		if cost := work + 3*ms; r.Deadline < cost || r.Deadline > cost*2+GridStep(cost*2) {
			t.Errorf("work of %v: deadline %v", work, r.Deadline)
		}
	}
}

func TestChangedSettingsForgetTheirRowsAlone(t *testing.T) {
	tab := NewTable(nil)
	a, b := warmRow(tab, 100, 30*ms, 3*ms), tab.Pass("other", "ftp", 1)
	b.Add(ms, from("192.0.2.1"))
	if tab.Pass("main", "ftp", 1) != a || a.Count != 100 {
		t.Fatal("the same settings began anew")
	}
	tab.Pass("main", "ftp", 2)
	if a.Count != 0 || a.Start().Count != 0 || b.Count != 1 || a.Deadline != GridUp((ColdPass+ColdStart)*5/4) {
		t.Errorf("main has %d and %d samples, the other %d, deadline %v", a.Count, a.Start().Count, b.Count, a.Deadline)
	}
	if n := tab.Reset("other"); n != 2 || b.Count != 0 {
		t.Errorf("reset of one host: %d rows, %d samples", n, b.Count)
	}
	if n := tab.Reset(""); n != 4 {
		t.Errorf("reset of all: %d rows", n)
	}
}

func rule(event string, a, b time.Duration) policy.DelayEvent {
	return policy.DelayEvent{Event: event, Min: int64(a), Max: int64(b)}
}

func TestPolicies(t *testing.T) {
	none := policy.Delay{Engine: true, Policy: "deadline", Cap: int64(2 * time.Second)}
	with := func(change func(*policy.Delay)) policy.Delay { d := none; change(&d); return d }
	events := with(func(d *policy.Delay) {
		d.Events = []policy.DelayEvent{rule("PASS", 100*ms, 0), rule("FailedLogin", 300*ms, 500*ms)}
	})
	median := with(func(d *policy.Delay) { d.Policy = "median" })
	for _, c := range []struct {
		name string
		p    policy.Delay
		a    Answer
		draw Random
		want time.Duration
	}{
		{"at the deadline", none, Answer{Since: 3 * ms, Deadline: 40 * ms}, least, 40 * ms},
		{"with jitter", none, Answer{Since: 3 * ms, Deadline: 40 * ms}, most, 45 * ms},
		{"a failure just so", none, Answer{Since: 39 * ms, Deadline: 40 * ms, Failed: true}, least, 40 * ms},
		{"work beyond it", none, Answer{Since: 41 * ms, Deadline: 40 * ms}, least, 60 * ms},
		{"far beyond it", none, Answer{Since: 100 * ms, Deadline: 40 * ms}, least, 100 * ms},
		{"the cap", none, Answer{Since: ms, Deadline: time.Minute}, least, 2 * time.Second},
		{"engine off", with(func(d *policy.Delay) { d.Engine = false; d.Events = events.Events }), Answer{Since: 3 * ms, Deadline: 40 * ms, Failed: true}, most, 3 * ms},
		{"PASS on top", events, Answer{Since: ms, Deadline: 40 * ms}, least, 140 * ms},
		{"FailedLogin is the larger one", events, Answer{Since: ms, Deadline: 40 * ms, Failed: true}, least, 340 * ms},
		{"and a range", events, Answer{Since: ms, Deadline: 40 * ms, Failed: true}, most, 545 * ms},
		{"median: topped up", median, Answer{Since: 12 * ms, Work: 10 * ms, Median: 30 * ms, Deadline: 40 * ms}, least, 32 * ms},
		{"median: with jitter", median, Answer{Since: 12 * ms, Work: 10 * ms, Median: 30 * ms}, most, 42 * ms},
		{"median: slower ones pass", median, Answer{Since: 50 * ms, Work: 48 * ms, Median: 30 * ms}, most, 50 * ms},
		{"median: the cap", median, Answer{Since: ms, Median: time.Minute}, most, 2*time.Second + ms},
	} {
		p := From(c.p)
		if got, _ := p.Moment(c.a, c.draw); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	p := From(policy.Delay{Engine: true, Events: []policy.DelayEvent{rule("Connect", 10*ms, 30*ms)}})
	if p.Cap != DefaultCap || p.Wait(EventConnect, least) != 10*ms || p.Wait(EventConnect, most) != 30*ms || p.Wait(EventUser, most) != 0 {
		t.Errorf("%+v", p)
	}
}

// TestFailuresWaitAlike: whatever two failures cost below the deadline, they
// leave at the same moment but for the jitter.
func TestFailuresWaitAlike(t *testing.T) {
	p := From(policy.Delay{Engine: true, Policy: "deadline", Events: []policy.DelayEvent{rule("FailedLogin", 20*ms, 20*ms)}})
	rapid.Check(t, func(t *rapid.T) {
		d := GridUp(time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "deadline")))
		draw := func(label string) time.Duration {
			a := Answer{Since: time.Duration(rapid.Int64Range(0, int64(d)).Draw(t, label)), Deadline: d, Failed: true}
			at, _ := p.Moment(a, least)
			return at
		}
		if a, b := draw("a"), draw("b"); a != b {
			t.Fatalf("%v and %v", a, b)
		}
	})
}

func TestTheMedianIsTheMedian(t *testing.T) {
	r := NewTable(nil).Pass("main", "ftp", 1)
	for i := range 21 {
		r.Add(time.Duration(i)*ms, from(fmt.Sprintf("10.0.%d.1", i)))
	}
	if got := r.Middle(time.Hour); got != 10*ms+ms/2 {
		t.Errorf("of 0 to 20 ms and a long one: %v", got)
	}
	if got := r.Middle(10 * ms); got != 10*ms {
		t.Errorf("of 0 to 20 ms and 10 ms: %v", got)
	}
}

func TestChanceStaysWithinItsBounds(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := Chance(5)
		if d < 0 || d > 5 {
			t.Fatal(d)
		}
		seen[d] = true
	}
	if len(seen) != 6 || Chance(0) != 0 || Chance(-1) != 0 {
		t.Errorf("%v", seen)
	}
}
