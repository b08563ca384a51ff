package ban

import (
	"net/netip"
	"testing"

	"sallyport/internal/policy"
)

// crowd is an engine that remembers as many offences as it may, none of them over.
func crowd() (*Engine, Key) {
	e, _ := engine(rules(policy.BanRule{Event: "MaxLoginAttempts", Count: 1, Window: hourOf(1), Ban: hourOf(1), Repeat: 2}))
	var last Key
	for i := range maxOffences {
		last = Key{Kind: Host, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)}
		e.past[last] = &offence{times: 3, until: hourOf(100)}
	}
	return e, last
}

func hourOf(n int64) int64 { return n * 3600 * second }

// TestOneMoreOffenceCostsOneOther: who makes many of them does not have those of
// all others forgotten, and so no escalation ends.
func TestOneMoreOffenceCostsOneOther(t *testing.T) {
	e, _ := crowd()
	e.remember(&Ban{Key: Key{Kind: Host, Prefix: netip.MustParsePrefix("192.0.2.1/32")}, Origin: ByRule, Times: 1, Created: 0, Expires: hourOf(1)})
	if n := len(e.past); n != maxOffences {
		t.Errorf("%d of %d offences are remembered", n, maxOffences)
	}
	// One that is over goes first, where it is found.
	for k := range e.past {
		e.past[k].until = 1
	}
	e.remember(&Ban{Key: Key{Kind: Host, Prefix: netip.MustParsePrefix("192.0.2.2/32")}, Origin: ByRule, Times: 1, Created: 0, Expires: hourOf(1)})
	if n := len(e.past); n != maxOffences {
		t.Errorf("%d of %d offences are remembered", n, maxOffences)
	}
}

// TestOffencesAreGoneThroughOnceAMinute, however often a ban ends: there are too
// many of them for every time.
func TestOffencesAreGoneThroughOnceAMinute(t *testing.T) {
	e, last := crowd()
	now := hourOf(1)
	e.Sweep(now)
	e.past[last].until = now // and over
	for _, later := range []int64{1, second, 59 * second} {
		if e.Sweep(now + later); e.past[last] == nil {
			t.Fatalf("gone through again after %d ms", later/1e6)
		}
	}
	if e.Sweep(now + 61*second); e.past[last] != nil {
		t.Error("what is over is never forgotten")
	}
	e.past[last] = &offence{times: 1, until: 1}
	if e.Sweep(now); e.past[last] != nil { // the clock was set back
		t.Error("a clock that goes back stops the housekeeping")
	}
}
