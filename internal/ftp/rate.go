package ftp

import (
	"fmt"
	"time"

	"sallyport/ipc"
)

// Two rates: of commands (max.command_rate) and of transfers (transfer_rate).
// Neither sleeps: both wait in ppoll, so that master's word and, during a
// transfer, the client's ABOR are heard at once.

// burst counts the commands of a window.
type burst struct {
	since time.Time
	n     int64
}

// slowDown counts a command and, where the client sends more than it may, waits:
// an interval's share for each command beyond the count. The window begins anew
// when the time is over, waiting included, so the delay stays within bounds. It
// returns false where the session is over.
func (s *Session) slowDown() bool {
	rate := s.view.CommandRate
	now := time.Now()
	if now.Sub(s.burst.since) >= time.Duration(rate.Nanos) {
		s.burst = burst{since: now}
	}
	s.burst.n++
	over := s.burst.n - int64(rate.Count)
	if over <= 0 {
		return true
	}
	delay := time.Duration(rate.Nanos / int64(rate.Count) * over)
	s.event(ipc.EventCommandRate, fmt.Sprintf("MaxCommandRate (%d cmds/%d secs) exceeded, injecting processing delay of %d ms",
		rate.Count, rate.Nanos/int64(time.Second), delay.Milliseconds()))
	s.flush()
	for end := now.Add(delay); !s.over(); {
		left := time.Until(end)
		if left <= 0 {
			return true
		}
		if s.await(0, -1, 0, left)&wakeHangup != 0 {
			s.leave("control connection broken")
		}
	}
	return false
}

// rateOf is the transfer rate of a command; none has PerSecond 0.
func (s *Session) rateOf(verb string) ipc.RateRule {
	for _, r := range s.rates {
		if r.Command == verb {
			return r
		}
	}
	return ipc.RateRule{}
}

// chunk is how many of n bytes a transfer moves at once: with a rate a quarter
// of a second's, so that its pauses are short.
func (s *Session) chunk(n int) int {
	r := &s.xfer.rate
	if r.PerSecond == 0 {
		return n
	}
	most := r.PerSecond/4 + 1
	if done := uint64(s.xfer.done); done < r.Free {
		most += r.Free - done
	}
	if most >= uint64(n) {
		return n
	}
	return int(most)
}

// throttle waits until the bytes moved so far are due. It bounds the average
// from the transfer's start: what a stall has cost may be caught up.
func (s *Session) throttle() error {
	r := &s.xfer.rate
	if r.PerSecond == 0 || uint64(s.xfer.done) <= r.Free {
		return nil
	}
	secs := float64(uint64(s.xfer.done)-r.Free) / float64(r.PerSecond)
	return s.pause(s.xfer.start.Add(time.Duration(min(secs, maxPause) * float64(time.Second))))
}

// maxPause bounds a time that is computed from rates, in seconds.
const maxPause = 1 << 32

// pause waits within a transfer, with its ears open.
func (s *Session) pause(until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if _, err := s.look(-1, 0, left); err != nil {
			return err
		}
	}
}
