package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/ipc"
)

func TestTheLastChangeOfAKeyCounts(t *testing.T) {
	b := newBacklog()
	b.put(op{key: "a", value: []byte("1")})
	b.put(op{key: "b", value: []byte("1")})
	b.put(op{key: "a"})
	b.put(op{key: "b", value: []byte("2")})
	out := b.take(10)
	if len(out) != 2 || out[0].key != "a" || out[0].value != nil || string(out[1].value) != "2" {
		t.Errorf("%+v", out)
	}
	// What failed comes back, and not over what came since.
	b.put(op{key: "a", value: []byte("3")})
	b.back(out)
	out = b.take(10)
	if len(out) != 2 || string(out[0].value) != "3" || out[1].key != "b" || b.bytes != 0 || b.removes != 0 || len(b.pending) != 0 {
		t.Errorf("%+v, %d bytes and %d removals left", out, b.bytes, b.removes)
	}
}

// TestABacklogIsBounded: permits have room whatever there is of bans, since only
// bans are sent anew.
func TestABacklogIsBounded(t *testing.T) {
	b := newBacklog()
	for i := range maxBacklog + 10 {
		b.put(op{key: fmt.Sprint("ban", i), value: []byte("v")})
	}
	if !b.takeLost() || b.takeLost() || len(b.pending) != maxBacklog {
		t.Errorf("%d wait", len(b.pending))
	}
	for i := range maxBacklog + 10 {
		b.put(op{key: fmt.Sprint("permit", i)})
	}
	if b.takeLost() || len(b.pending) != 2*maxBacklog || b.removes != maxBacklog {
		t.Errorf("%d wait, %d are removals", len(b.pending), b.removes)
	}
	for len(b.take(1000)) > 0 {
	}
	if b.bytes != 0 || b.removes != 0 || len(b.pending) != 0 {
		t.Errorf("%d bytes, %d removals, %d in all are left", b.bytes, b.removes, len(b.pending))
	}
	big := []byte(strings.Repeat("v", maxValue))
	for i := range 2 * maxBytes / maxValue {
		b.put(op{key: fmt.Sprint("ban", i), value: big})
		b.put(op{key: "grows", value: big[:min(len(big), i+1)]})
	}
	if !b.takeLost() || b.bytes > maxBytes {
		t.Errorf("%d bytes", b.bytes)
	}
	for range 2 * maxAsked {
		b.ask("k")
		b.count(ipc.EventCount{})
	}
	if a, c := b.takeAsked(); len(a) != maxAsked || len(c) != maxAsked {
		t.Errorf("%d questions, %d events", len(a), len(c))
	}
}

func TestWhatRemainsOfABan(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		until time.Time
		left  int64
		alive bool
	}{
		{time.Time{}, 0, true},
		{now.Add(time.Hour), 3600, true},
		{now.Add(1500 * time.Millisecond), 2, true},
		{now.Add(time.Millisecond), 1, true},
		{now, 1, false},
		{now.Add(-time.Hour), 1, false},
	} {
		if left, alive := (&op{until: c.until}).seconds(now); left != c.left || alive != c.alive {
			t.Errorf("%v: %d %v", c.until.Sub(now), left, alive)
		}
	}
}

// TestStoresSpeakNoFasterThanTheyMay.
func TestStoresSpeakNoFasterThanTheyMay(t *testing.T) {
	m, now := &meter{}, time.Unix(1000, 0)
	for range tellBurst {
		if d := m.delay(now); d != 0 {
			t.Fatalf("it waits for %v within the burst", d)
		}
	}
	for i := range 3 {
		if d, want := m.delay(now), time.Duration(i+1)*time.Second/tellRate; d.Round(time.Microsecond) != want {
			t.Errorf("it waits for %v, want %v", d, want)
		}
	}
	if d := m.delay(now.Add(time.Second)); d != 0 {
		t.Errorf("a second later it waits for %v", d)
	}
	if m.delay(now.Add(time.Hour)); m.left != tellBurst-1 {
		t.Errorf("it saves up %v", m.left)
	}
}

func TestForeignTexts(t *testing.T) {
	if got := printable("ERR\r\n\x00\x1b[2J\xff wide: \u00e9"); got != "ERR????[2J? wide: \u00e9" {
		t.Errorf("%q", got)
	}
	if got := printable(strings.Repeat("\u00e9", 1000)); got != strings.Repeat("\u00e9", 100) {
		t.Errorf("%d bytes", len(got))
	}
	if got := globQuote(`mod[b]*n?\`); got != `mod\[b\]\*n\?\\` {
		t.Errorf("%q", got)
	}
}
