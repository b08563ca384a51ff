package shm

import (
	"fmt"
	"strings"
	"testing"
)

// TestLayoutIsAsDrawn holds the constants against the sizes that layout.go
// promises in words.
func TestLayoutIsAsDrawn(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"slot", slotWords * wordSize, 512},
		{"protocol", slotProtocol, 6},
		{"user", (slotPeer - slotUser) * wordSize, 128},
		{"peer", (slotLocal - slotPeer) * wordSize, 64},
		{"local", (slotHost - slotLocal) * wordSize, 64},
		{"host", (slotClass - slotHost) * wordSize, 128},
		{"class", (slotWords - slotClass) * wordSize, 64},
		{"ban entry", banWords * wordSize, 64},
		{"delay entry", delayWords * wordSize, 2176},
		{"hash of a ban", banHash1, banHash0 + 1},
		{"page arg", recDir - recArg, MaxArg / wordSize},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	if pageRecord+recWords > pageWords {
		t.Errorf("the page's record ends at word %d", pageRecord+recWords)
	}
	if headWords > headCounters || int(NumCounters) > maxCounters {
		t.Errorf("header: %d words, %d counters", headWords, NumCounters)
	}
	_ = [...]int{banSeq, banExpiry, banFlags, banSpare0, banSpare1, delaySeq, delayHash0, delayHash1, delayStep, delayCount, delayNext, delayDeadline, delayFloor, delayPrint, headKey0, headKey1, slotSpare}
}

// TestAboutCountsWords holds the text that is hashed against the entry size, so
// that a changed entry changes the hash.
func TestAboutCountsWords(t *testing.T) {
	for _, l := range []*Layout{&BoardLayout, &BanLayout, &DelayLayout} {
		entry, _, _ := strings.Cut(l.about, " / ")
		words := 0
		for f := range strings.FieldsSeq(entry) {
			n := 1
			if _, count, ok := strings.Cut(f, ":"); ok {
				fmt.Sscan(count, &n)
			}
			words += n
		}
		if words != l.Words {
			t.Errorf("%s: its text draws %d words of %d", l.Name, words, l.Words)
		}
	}
}

func TestHashSeesEveryChange(t *testing.T) {
	base := BoardLayout
	changed := []Layout{base, base, base}
	changed[0].Name = "ban"
	changed[1].Words++
	changed[2].about += " more"
	for _, c := range changed {
		if c.hash() == base.hash() {
			t.Errorf("%+v has the same hash", c)
		}
	}
}

func TestObjectNames(t *testing.T) {
	if got, err := BanLayout.ObjectName("main-2"); err != nil || got != "sallyport.main-2.ban" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "a/b", "..", "a.b", "a b", "ä", "a\x00", strings.Repeat("a", 65)} {
		if got, err := BanLayout.ObjectName(bad); err == nil {
			t.Errorf("instance %q became %q", bad, got)
		}
	}
}

func TestCountersHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range NumCounters {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("counter %d is called %q", c, s)
		} else {
			seen[s] = true
		}
	}
	if NumCounters.String() != "unknown" || State(200).String() != "unknown" || Stage(200).String() != "unknown" {
		t.Error("a number that is none has a name")
	}
}
