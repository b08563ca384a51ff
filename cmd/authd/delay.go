package main

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/delay"
	"sallyport/ipc"
)

// delays is authd's DelayTable, and what it needs besides: what hashes cost, and
// how many attempts are in hand.
type delays struct {
	table   *delay.Table
	shared  *sharedDelays // nil: master has shared none
	draw    delay.Random
	key     []byte                    // picks decoys; nil: each configuration has its own
	hosts   map[*auth.Host]*hostDelay // compiled at first use
	costs   map[string]*cost          // by class of hash
	looks   int                       // grows whenever costs or classes may have changed
	measure *timer                    // the next look for classes that are not measured
	trace   uint8                     // level of master's trace channel
	inHand  map[netip.Prefix]int      // attempts of a network whose answer has not left
	total   int
}

func newDelays() delays {
	return delays{
		table: delay.NewTable(nil), draw: delay.Chance, hosts: map[*auth.Host]*hostDelay{},
		costs: map[string]*cost{}, inHand: map[netip.Prefix]int{},
	}
}

// hostDelay is what a host wants, and the settings that its samples belong to.
type hostDelay struct {
	policy delay.Policy
	print  uint64
	now    *auth.Host // of the configuration in force, where it has one of the name
	floor  time.Duration
	looked int // delays.looks when floor was computed
}

// of returns a host's delay. Sessions of an earlier configuration put their
// samples to the settings of the present one: one table serves them all.
func (s *server) delayOf(h *auth.Host) *hostDelay {
	if d := s.delays.hosts[h]; d != nil {
		return d
	}
	now := h
	if x := s.hosts[h.Name]; x != nil {
		now = x
	}
	d := &hostDelay{policy: delay.From(h.Policy.Delay), print: settingsPrint(now), now: now, looked: -1}
	s.delays.hosts[h] = d
	return d
}

// settingsPrint tells settings apart under which a login costs something else.
func settingsPrint(h *auth.Host) uint64 {
	p := &h.Policy
	f := fnv.New64a()
	fmt.Fprintf(f, "%v %q %q %q %q %v", p.Order, p.Users, p.Groups, p.PamService, p.SystemDir, p.LegacyHashes)
	return f.Sum64()
}

// timing is the clock of one attempt.
type timing struct {
	arrived  time.Time
	queued   time.Duration // of that, waiting for a turn
	decided  time.Time     // the sources' word
	odd      bool          // a worker died or the like: the attempt is no sample
	row      *delay.Row
	deadline time.Duration // as it was when the request came
	policy   *delay.Policy
	counted  bool // among those in hand
	net      netip.Prefix
	sampled  bool
}

// begin starts the clock of an attempt. It tells whether there may be one more:
// answers that wait are bounded, too.
func (ss *session) begin(t *try) (room bool) {
	s := ss.s
	t.arrived = s.timers.now()
	if ss.host == nil {
		return true
	}
	d := s.delayOf(ss.host)
	t.policy = &d.policy
	if d.policy.Engine {
		t.row = s.delays.table.Pass(ss.host.Name, ss.protocol, d.print)
		t.row.SetFloor(s.floor(d))
		t.deadline = t.row.Deadline
	}
	l := &s.hash.limits
	if s.delays.total >= l.parked || s.delays.inHand[ss.net] >= l.parkedNet {
		return false
	}
	t.counted, t.net = true, ss.net
	s.delays.total++
	s.delays.inHand[ss.net]++
	return true
}

// turn counts what a piece of work has waited for its turn. Work that did not
// go as it does makes the attempt no sample.
func (t *timing) turn(j *job, ok bool) {
	if j.began.IsZero() || !ok {
		t.odd = true
		return
	}
	t.queued += j.began.Sub(j.pushed)
}

// finish takes an attempt out of those in hand.
func (ss *session) finish(t *try) {
	if !t.counted {
		return
	}
	t.counted = false
	d := &ss.s.delays
	d.total--
	if d.inHand[t.net]--; d.inHand[t.net] <= 0 {
		delete(d.inHand, t.net)
	}
}

// sample puts the sources' work into the table, once they have spoken.
func (ss *session) sample(t *try) {
	t.decided = ss.s.timers.now()
	if t.row == nil || t.odd || t.attempt == nil || !t.attempt.Whole() {
		return
	}
	t.sampled = t.row.Add(t.decided.Sub(t.arrived)-t.queued, ss.donates())
}

// sampleStart does the same for what came behind a right password.
func (ss *session) sampleStart(t *try) {
	if t.row != nil {
		t.row.Start().Add(ss.s.timers.now().Sub(t.decided), ss.donates())
	}
}

func (ss *session) donates() *delay.Donor {
	ss.donor.Network = delay.Share(ss.peer)
	return &ss.donor
}

// moment returns when the answer to an attempt leaves. A refusal takes at least
// as long as a start behind a right password takes, by one of those that there
// have been: otherwise a slow one would tell a right password that is refused.
func (ss *session) moment(t *try, failed bool) time.Time {
	now := ss.s.timers.now()
	if t.policy == nil || t.row == nil {
		return now
	}
	if t.decided.IsZero() {
		t.decided = now
	}
	done := now
	if failed {
		if d := t.decided.Add(t.row.Start().Draw(ss.s.delays.draw)); d.After(done) {
			done = d
		}
	}
	work := t.decided.Sub(t.arrived) - t.queued
	at, event := t.policy.Moment(delay.Answer{
		Since: done.Sub(t.arrived), Work: work, Failed: failed, Deadline: t.deadline, Median: t.row.Middle(work),
	}, ss.s.delays.draw)
	if ss.s.delays.trace > 0 {
		_ = ss.s.toMaster(&ipc.DelayNote{
			Session: ss.id, Step: t.row.Step.String(), Work: int64(work), Queued: int64(t.queued), Deadline: int64(t.deadline),
			At: int64(at), Event: int64(event), Sampled: t.sampled,
		})
	}
	return t.arrived.Add(at)
}

// takeDelays takes the table that master shares.
func (s *server) takeDelays(m *ipc.DelayShare, fd int) {
	defer unix.Close(fd)
	shared, err := mapDelays(fd)
	if err != nil {
		s.log(logError, "the DelayTable cannot be used, it begins anew with every start: %v", err)
		return
	}
	if n := shared.t.Healed(); n > 0 {
		s.log(logWarning, "the DelayTable had %d half-written rows; they begin anew", n)
	}
	if len(m.Key) > 0 {
		s.delays.key = m.Key
		for _, h := range s.hosts {
			h.SetKey(m.Key)
		}
	}
	s.delays.shared = shared
	s.delays.table.Attach(shared)
}

// newHosts prepares the hosts of a configuration.
func (s *server) newHosts() {
	clear(s.delays.hosts)
	for _, h := range s.hosts {
		if s.delays.key != nil {
			h.SetKey(s.delays.key)
		}
		s.delayOf(h)
	}
	if s.delays.shared != nil {
		s.delays.shared.names(s.hosts)
	}
	s.measureCosts()
}

// resetDelays clears rows; answers that wait are not touched.
func (s *server) resetDelays(r *ipc.DelayReset) {
	n := 0
	for name, h := range s.hosts {
		if r.Host != "" && hostOf(name) != r.Host && name != r.Host {
			continue
		}
		for _, p := range protocols {
			if s.delays.shared.has(name, p) { // from an earlier process, and not used by this one yet
				s.delays.table.Pass(name, p, s.delayOf(h).print)
			}
		}
		n += s.delays.table.Reset(name)
	}
	_ = s.toMaster(&ipc.DelayCleared{ID: r.ID, Rows: uint32(n)})
}
