package main

import (
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/delay"
	"sallyport/shm"
)

// sharedDelays keeps the rows of the DelayTable in the memory that master
// shares. It implements delay.Store.
type sharedDelays struct {
	t    *shm.DelayTable
	keys map[delay.Key]shm.DelayKey
	live map[shm.DelayKey]bool // rows that hosts of the configuration may have
}

func mapDelays(fd int) (*sharedDelays, error) {
	t, err := shm.MapDelay(fd)
	if err != nil {
		return nil, err
	}
	return &sharedDelays{t: t, keys: map[delay.Key]shm.DelayKey{}}, nil
}

// Protocols that rows are kept for.
var protocols = []string{"ftp", ftps, "sftp"}

// hostOf is the virtual host of an AuthHost's name.
func hostOf(name string) string {
	host, _, _ := strings.Cut(name, "/")
	return host
}

// names tells which hosts there are. Rows of others give way where there is no
// room; until then they wait for their host to come back.
func (d *sharedDelays) names(hosts map[string]*auth.Host) {
	d.live = map[shm.DelayKey]bool{}
	for name := range hosts {
		for _, p := range protocols {
			for _, step := range []delay.Step{delay.StepPass, delay.StepStart} {
				d.live[shm.NewDelayKey(name, p, step.String())] = true
			}
		}
	}
}

func (d *sharedDelays) key(k delay.Key) shm.DelayKey {
	x, ok := d.keys[k]
	if !ok {
		x = shm.NewDelayKey(k.Host, k.Protocol, k.Step.String())
		d.keys[k] = x
	}
	return x
}

// has tells whether there is a row of a host; nil has none.
func (d *sharedDelays) has(host, protocol string) bool {
	if d == nil {
		return false
	}
	_, ok := d.t.Find(d.key(delay.Key{Host: host, Protocol: protocol, Step: delay.StepPass}))
	return ok
}

// Load implements delay.Store.
func (d *sharedDelays) Load(k delay.Key) (delay.Saved, bool) {
	slot, ok := d.t.Find(d.key(k))
	if !ok {
		return delay.Saved{}, false
	}
	r, ok := d.t.Row(slot)
	s := delay.Saved{Slot: slot}
	if !ok { // nonsense: the row is there, its content begins anew
		return s, true
	}
	s.Head = delay.Head{
		Count: r.Count, Next: r.Next, Deadline: time.Duration(r.Deadline), Floor: time.Duration(r.Floor), Print: r.Print,
	}
	for i, n := range r.Ring {
		s.Ring[i] = time.Duration(n)
	}
	return s, true
}

// Make implements delay.Store.
func (d *sharedDelays) Make(k delay.Key, h delay.Head) (int, bool) {
	head := d.head(k, h)
	if slot, ok := d.t.Make(head); ok {
		return slot, true
	}
	if !d.t.Evict(func(x shm.DelayKey) bool { return d.live != nil && !d.live[x] }) {
		return -1, false
	}
	return d.t.Make(head)
}

func (d *sharedDelays) head(k delay.Key, h delay.Head) shm.DelayHead {
	return shm.DelayHead{
		Key: d.key(k), Step: uint8(k.Step), Count: h.Count, Next: h.Next,
		Deadline: int64(h.Deadline), Floor: int64(h.Floor), Print: h.Print,
	}
}

// Put implements delay.Store.
func (d *sharedDelays) Put(k delay.Key, slot int, h delay.Head, at int, took time.Duration) {
	d.t.Put(slot, d.head(k, h), at, int64(took))
}

// Clear implements delay.Store.
func (d *sharedDelays) Clear(k delay.Key, slot int, h delay.Head) { d.t.Clear(slot, d.head(k, h)) }
