package main

import (
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/delay"
	"sallyport/ipc"
)

// Costs: what one hash of each class takes, measured at start and when a class
// appears, so that a table without samples stands on something.
const (
	costRuns    = 3  // the least of so many counts
	costMore    = 30 // and of so many that follow, one at each look: the start may be a busy moment
	costDear    = 200 * time.Millisecond
	costEvery   = time.Minute
	costClasses = 64                    // measured at most
	pamCost     = 15 * time.Millisecond // a helper's start, besides its hash
)

// cost is what a hash of a class takes.
type cost struct {
	least time.Duration // 0: not known yet
	runs  int
	busy  bool
}

// measureCosts looks for classes that have not been measured.
func (s *server) measureCosts() {
	s.delays.looks++
	s.timers.cancel(s.delays.measure)
	s.delays.measure = nil
	for _, h := range s.hosts {
		if !h.Policy.Delay.Engine {
			continue
		}
		if s.delays.measure == nil {
			s.delays.measure = s.timers.after(costEvery, s.measureCosts)
		}
		sources, _ := h.Kinds()
		for _, kinds := range sources {
			for _, setting := range kinds {
				s.measureCost(setting, false)
			}
		}
	}
}

func (s *server) measureCost(setting string, again bool) {
	class := auth.Class(setting)
	c := s.delays.costs[class]
	if c == nil {
		if len(s.delays.costs) >= costClasses {
			return
		}
		c = &cost{}
		s.delays.costs[class] = c
	}
	if c.busy || c.runs >= costRuns+costMore || c.runs >= costRuns && again || c.runs > 0 && again && c.least > costDear {
		return
	}
	c.busy = true
	w := &hashWork{request: ipc.HashRequest{Setting: setting, Secret: []byte("a password of usual length"), Legacy: true}}
	w.done = func(_, ok bool) {
		c.busy = false
		if !ok || w.again {
			return // at the next look
		}
		c.runs++
		s.delays.looks++
		if took := s.timers.now().Sub(w.job.began); c.least == 0 || took < c.least {
			c.least = took
		}
		s.measureCost(setting, true)
	}
	c.busy = s.submitHash(w)
}

// floor is costOf a host, computed anew where it may have changed.
func (s *server) floor(d *hostDelay) time.Duration {
	if d.looked != s.delays.looks {
		d.floor, d.looked = s.costOf(d.now), s.delays.looks
	}
	return d.floor
}

// costOf is what an attempt at a host costs at least: the dearest hash of each
// source, and the PAM helpers.
func (s *server) costOf(h *auth.Host) time.Duration {
	sources, pam := h.Kinds()
	sum := time.Duration(pam) * pamCost
	for _, kinds := range sources {
		dearest := time.Duration(0)
		for _, setting := range kinds {
			c := s.delays.costs[auth.Class(setting)]
			if c == nil || c.least == 0 {
				return 0 // not known yet: delay.ColdPass
			}
			dearest = max(dearest, c.least)
		}
		sum += dearest
	}
	return max(sum, delay.Finest/5)
}
