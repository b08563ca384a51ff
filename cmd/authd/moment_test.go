package main

import (
	"testing"
	"time"

	"sallyport/internal/delay"
	"sallyport/internal/policy"
)

// TestARefusalTakesAsLongAsAStartMightHave: a slow start behind a right password
// that is then refused must not stand out from a wrong password. Only a success,
// which the client sees anyway, leaves as soon as it may.
func TestARefusalTakesAsLongAsAStartMightHave(t *testing.T) {
	const slow = 900 * time.Millisecond
	now := time.Unix(1000, 0)
	s := &server{delays: newDelays(), timers: timers{clock: func() time.Time { return now }}}
	s.delays.draw = func(n time.Duration) time.Duration { return n } // the newest of the starts
	row := s.delays.table.Pass("main", "ftp", 1)
	row.SetFloor(2 * time.Millisecond)
	donor := &delay.Donor{Network: network("192.0.2.1:1")}
	for range delay.PerSession {
		row.Start().Add(time.Millisecond, donor)
	}
	row.Start().Add(slow, &delay.Donor{Network: network("192.0.2.1:1")})
	p := delay.From(policy.Delay{Engine: true, Policy: "deadline"})
	moment := func(failed bool, asked time.Duration) time.Duration {
		try := &try{timing: timing{
			arrived: now.Add(-2*time.Millisecond - asked), decided: now.Add(-asked), row: row, policy: &p, deadline: row.Deadline,
		}}
		return (&session{s: s}).moment(try, failed).Sub(try.arrived)
	}
	if got := moment(false, 0); got != row.Deadline+delay.Jitter {
		t.Errorf("a success leaves after %v, deadline %v", got, row.Deadline)
	}
	wrong := moment(true, 0)
	if wrong < slow {
		t.Errorf("a wrong password leaves after %v, a start may take %v", wrong, slow)
	}
	if refused := moment(true, slow); refused != wrong {
		t.Errorf("a right password that is refused after a slow start leaves after %v, a wrong one after %v", refused, wrong)
	}
}
