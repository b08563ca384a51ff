package delay

import (
	"net/netip"
	"slices"
	"time"
)

// Bounds of a row.
const (
	Samples    = 256
	PerSession = 16          // samples of one session
	PerNetwork = Samples / 8 // of one network (IPv4 /24, IPv6 /48) in the ring at a time
	Warm       = 16          // samples from which on a row is believed
	every      = 16          // samples between two looks at the deadline
	longest    = 30 * time.Minute
	high       = 80 // percent: the quantile that one network's share moves least
)

// Cold is what a step is taken to cost before anything is known of it.
const (
	ColdPass  = 50 * time.Millisecond // no hash has been measured yet
	ColdStart = 8 * time.Millisecond
)

// Step is what of a login a row is about.
type Step uint8

// The steps. USER is answered without asking anybody, so its row stays empty.
const (
	StepUser  Step = 1 + iota
	StepPass       // from the request to the sources' word
	StepStart      // from a right password to master's word: limits, the user's process
	numSteps
)

var stepNames = [numSteps]string{"", "USER", "PASS", "start"}

// String returns the step's name as ftpdctl shows it.
func (s Step) String() string {
	if s >= numSteps {
		return ""
	}
	return stepNames[s]
}

// Key names a row. Host is the name of the policy.AuthHost, which outlives
// reloads and restarts.
type Key struct {
	Host     string
	Protocol string // "ftp" "ftps" "sftp"
	Step     Step
}

// Head is what a row is besides its samples.
type Head struct {
	Count    int // samples in the ring
	Next     int // where the next one goes
	Deadline time.Duration
	Floor    time.Duration // what the step was measured to cost at least; 0: not yet
	Print    uint64        // of the settings that the samples were taken under
}

// Row is the memory of one step.
type Row struct {
	Key
	Head
	t      *Table
	slot   int // in the store; -1: it has no room
	ring   [Samples]time.Duration
	owners [Samples]netip.Prefix // of the samples that this process has put in
	age    [Samples]uint64       // when, in samples
	taken  uint64                // samples in all
	owned  map[netip.Prefix]int
	fresh  int  // samples since the deadline was looked at
	other  *Row // of PASS: the start row behind it, and back
}

// Share is the network that a sample is counted for.
func Share(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

// Donor is a session as a source of samples.
type Donor struct {
	Network netip.Prefix // by Share
	given   map[*Row]int
}

// Add puts a sample into the ring. A network that has its share there already
// replaces its own oldest sample; a session that has given its own gives no
// more. It tells whether the sample was taken.
func (r *Row) Add(took time.Duration, d *Donor) bool {
	if took < 0 || !d.Network.IsValid() || d.given[r] >= PerSession {
		return false
	}
	if d.given == nil {
		d.given = make(map[*Row]int)
	}
	d.given[r]++
	at := r.place(d.Network)
	r.taken++
	r.ring[at], r.age[at] = min(took, longest), r.taken
	if r.fresh++; r.fresh >= every || r.Count == Warm {
		r.look(r.Count == Warm)
	}
	r.t.put(r, at)
	return true
}

// place chooses where a network's sample goes.
func (r *Row) place(from netip.Prefix) int {
	if r.owned[from] >= PerNetwork {
		oldest := -1
		for i, o := range r.owners {
			if o == from && (oldest < 0 || r.age[i] < r.age[oldest]) {
				oldest = i
			}
		}
		return oldest
	}
	at := r.Next
	r.Next = (r.Next + 1) % Samples
	r.Count = min(r.Count+1, Samples)
	if was := r.owners[at]; was.IsValid() {
		if r.owned[was]--; r.owned[was] == 0 {
			delete(r.owned, was)
		}
	}
	r.owners[at] = from
	r.owned[from]++
	return at
}

// Sorted returns the samples in ascending order.
func (r *Row) Sorted() []time.Duration {
	s := slices.Clone(r.ring[:r.Count])
	slices.Sort(s)
	return s
}

// typical is what nearly all work of the step costs: a high quantile once the
// row is warm, never less than what was measured.
func (r *Row) typical() time.Duration {
	if r.Count < Warm {
		return r.cold()
	}
	s := r.Sorted()
	return max(s[(len(s)-1)*high/100], r.Floor)
}

func (r *Row) cold() time.Duration {
	switch {
	case r.Step == StepStart:
		return ColdStart
	case r.Floor > 0:
		return r.Floor
	}
	return ColdPass
}

// need is what the deadline of a PASS row has to cover: the sources' work, and
// what comes behind a right password, which is waited for after a wrong one too.
func (r *Row) need() time.Duration {
	n := r.typical()
	if r.other != nil {
		n += r.other.typical()
	}
	return n
}

// look lets the deadline follow the samples: not at all while it leaves a tenth
// of headroom and no third too much, otherwise by at most a quarter at a time,
// but for a jump when the row becomes warm.
func (r *Row) look(jump bool) {
	if r.Step == StepStart && r.other != nil {
		r.fresh = 0
		r.other.look(jump)
		r.t.put(r.other, -1)
		return
	}
	r.fresh = 0
	n := r.need()
	want := GridUp(n + n/4)
	switch {
	case r.Deadline == 0 || jump:
		r.Deadline = want
	case n+n/10 > r.Deadline:
		r.Deadline = min(want, GridUp(r.Deadline+r.Deadline/4))
	case want < r.Deadline*3/4:
		r.Deadline = max(want, GridUp(r.Deadline-r.Deadline/4))
	}
}

// SetFloor tells what the step was measured to cost at least. A row that is not
// warm takes its deadline from it at once.
func (r *Row) SetFloor(d time.Duration) {
	if d == r.Floor {
		return
	}
	r.Floor = d
	r.look(r.Count < Warm)
	r.t.put(r, -1)
}

// Middle is the true median of the samples and of the interval in hand; a row
// that is not warm gives what the step is taken to cost.
func (r *Row) Middle(interval time.Duration) time.Duration {
	if r.Count < Warm {
		return r.cold()
	}
	s := append(r.Sorted(), interval)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Draw returns one of the samples by chance: what the step would have taken.
func (r *Row) Draw(draw Random) time.Duration {
	if r.Count < Warm {
		return r.cold() / 2
	}
	return r.ring[draw(time.Duration(r.Count-1))]
}

// clear forgets the samples; a floor stays, since it is no sample.
func (r *Row) clear() {
	r.Count, r.Next, r.fresh, r.Deadline = 0, 0, 0, 0
	r.ring, r.owners, r.age = [Samples]time.Duration{}, [Samples]netip.Prefix{}, [Samples]uint64{}
	clear(r.owned)
	r.look(true)
}
