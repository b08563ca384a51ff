package main

import "testing"

// TestHelpersOnTheirWayCount: an authd that asks again and again gets no more
// helpers of a session than maxPam, those that have not been started yet included.
func TestHelpersOnTheirWayCount(t *testing.T) {
	m := newInsideWith(t, street())
	x := m.caller()
	a, _ := m.theAuthd(x.s)
	m.upgrades.holding = true // so that none starts
	for range 3 * maxPam {
		m.startPam(a, x.s.c.id)
	}
	m.upgrades.holding = false
	held := m.upgrades.held
	m.upgrades.held = nil
	if len(held) != maxPam {
		t.Errorf("%d helpers, %d at most", len(held), maxPam)
	}
	m.over()
}
