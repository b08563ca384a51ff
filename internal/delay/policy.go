package delay

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"sallyport/internal/policy"
)

// Jitter is the most that chance adds to an answer of the policy "deadline".
const Jitter = 5 * time.Millisecond

// DefaultCap is the longest wait where the configuration sets none.
const DefaultCap = 2 * time.Second

// Random returns a number from 0 to n, n included. Chance is the one that
// nobody can predict; tests have others.
type Random func(n time.Duration) time.Duration

// Chance draws from the system's generator.
func Chance(n time.Duration) time.Duration {
	if n <= 0 {
		return 0
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % (uint64(n) + 1))
}

// Policy is what a host and class want.
type Policy struct {
	Engine bool
	Median bool // policy = "median", else "deadline"
	Cap    time.Duration
	events [numEvents]span
}

// Event is something an on_event rule adds a wait to.
type Event uint8

// The events.
const (
	EventUser Event = iota
	EventPass
	EventFailed
	EventConnect
	numEvents
)

var eventNames = [numEvents]string{"USER", "PASS", "FailedLogin", "Connect"}

// String returns the event's name in the configuration.
func (e Event) String() string { return eventNames[e] }

type span struct{ min, max time.Duration }

// From compiles a configuration's delay block.
func From(d policy.Delay) Policy {
	p := Policy{Engine: d.Engine, Median: d.Policy == "median", Cap: time.Duration(d.Cap)}
	if p.Cap <= 0 {
		p.Cap = DefaultCap
	}
	for _, x := range d.Events {
		for e, name := range eventNames {
			if x.Event == name {
				p.events[e] = span{time.Duration(x.Min), time.Duration(max(x.Min, x.Max))}
			}
		}
	}
	return p
}

// Wait draws what an event's rule adds; 0 without a rule, or with the engine off.
func (p *Policy) Wait(e Event, draw Random) time.Duration {
	x := p.events[e]
	if !p.Engine {
		return 0
	}
	return x.min + draw(x.max-x.min)
}

// Span returns the bounds of an event's rule.
func (p *Policy) Span(e Event) (least, most time.Duration) { return p.events[e].min, p.events[e].max }

// Answer is what is to be waited for one answer of a step.
type Answer struct {
	Since    time.Duration // from the request to the end of the work, queueing included
	Work     time.Duration // authd's own part of it
	Failed   bool
	Deadline time.Duration // of the row, at the request
	Median   time.Duration // of the row
}

// Moment returns when an answer leaves, counted from the request, and how much
// of that the on_event rules have added.
func (p *Policy) Moment(a Answer, draw Random) (at, event time.Duration) {
	if !p.Engine {
		return a.Since, 0
	}
	event = p.Wait(EventPass, draw)
	if a.Failed {
		event = max(event, p.Wait(EventFailed, draw))
	}
	if p.Median {
		pad := max(a.Median-a.Work, 0)
		return a.Since + min(pad+draw(pad/2), p.Cap) + event, event
	}
	return Release(a.Since, min(a.Deadline, p.Cap)) + draw(Jitter) + event, event
}
