package delay

import (
	"net/netip"
	"time"
)

// Saved is a row as a store keeps it.
type Saved struct {
	Head
	Ring [Samples]time.Duration
	Slot int // where the store has it
}

// Store keeps the rows where others can see them and where they outlive the
// process: package shm's table. Slot numbers are the store's.
type Store interface {
	// Load returns a row that is there already.
	Load(k Key) (Saved, bool)
	// Make finds room for a new row; false: there is none.
	Make(k Key, h Head) (slot int, ok bool)
	// Put writes the head and, unless at is negative, the sample at that place.
	Put(k Key, slot int, h Head, at int, took time.Duration)
	// Clear empties a row.
	Clear(k Key, slot int, h Head)
}

// Table is the rows of a daemon.
type Table struct {
	store Store // nil: nobody sees them
	rows  map[Key]*Row
}

// NewTable returns a table whose rows live in store, or nowhere else where that
// is nil.
func NewTable(store Store) *Table { return &Table{store: store, rows: make(map[Key]*Row)} }

// Attach gives the rows a store, which may hold some of them already.
func (t *Table) Attach(store Store) {
	t.store = store
	old := t.rows
	t.rows = make(map[Key]*Row)
	for k, r := range old {
		if k.Step == StepPass {
			t.Pass(k.Host, k.Protocol, r.Print).SetFloor(r.Floor)
		}
	}
}

// Pass returns the PASS row of a host and protocol, with its start row. print
// tells the settings that decide how much work a login is: a row whose samples
// were taken under others begins anew.
func (t *Table) Pass(host, protocol string, print uint64) *Row {
	k := Key{host, protocol, StepPass}
	if r := t.rows[k]; r != nil {
		if r.Print != print {
			for _, x := range []*Row{r.other, r} {
				x.Print = print
				t.wipe(x)
			}
		}
		return r
	}
	start := t.open(Key{host, protocol, StepStart}, print)
	r := t.open(k, print)
	r.other, start.other = start, r
	if r.Deadline == 0 {
		r.look(true)
		t.put(r, -1)
	}
	return r
}

// Start returns the row of what comes behind a right password.
func (r *Row) Start() *Row { return r.other }

func (t *Table) open(k Key, print uint64) *Row {
	r := &Row{Key: k, t: t, slot: -1, owned: map[netip.Prefix]int{}}
	r.Print = print
	t.rows[k] = r
	if t.store == nil {
		return r
	}
	if s, ok := t.store.Load(k); ok {
		r.slot = s.Slot
		if s.Print == print && sound(&s) {
			r.Head, r.ring = s.Head, s.Ring
			return r
		}
		t.store.Clear(r.Key, r.slot, r.Head)
		return r
	}
	if slot, ok := t.store.Make(k, r.Head); ok {
		r.slot = slot
	}
	return r
}

// sound tells whether what a store holds can be a row.
func sound(s *Saved) bool {
	if s.Count < 0 || s.Count > Samples || s.Next < 0 || s.Next >= Samples || s.Deadline < 0 || s.Deadline > 2*longest || s.Floor < 0 || s.Floor > longest {
		return false
	}
	for _, d := range s.Ring[:s.Count] {
		if d < 0 || d > longest {
			return false
		}
	}
	return true
}

func (t *Table) put(r *Row, at int) {
	if t.store == nil || r.slot < 0 {
		return
	}
	took := time.Duration(0)
	if at >= 0 {
		took = r.ring[at]
	}
	t.store.Put(r.Key, r.slot, r.Head, at, took)
}

func (t *Table) wipe(r *Row) {
	r.clear()
	if t.store != nil && r.slot >= 0 {
		t.store.Clear(r.Key, r.slot, r.Head)
	}
}

// Reset clears the rows of a host, or all for "", and returns how many. Nobody
// who waits is touched.
func (t *Table) Reset(host string) (n int) {
	for _, step := range []Step{StepStart, StepPass} { // a PASS row looks at its start row
		for k, r := range t.rows {
			if k.Step == step && (host == "" || k.Host == host) {
				t.wipe(r)
				n++
			}
		}
	}
	return n
}

// Has tells whether a host has rows.
func (t *Table) Has(host string) bool {
	for k := range t.rows {
		if k.Host == host {
			return true
		}
	}
	return false
}
