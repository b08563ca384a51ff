package ban

import (
	"container/list"
	"net/netip"
)

// Bounds of the counters.
const (
	maxCounters   = 65_536 // of one rule
	maxPerNetwork = 64     // user@host counters of one network
)

// source is what is counted: by whom, on which virtual host.
type source struct {
	name   string // user, user@address, class
	prefix netip.Prefix
	server string
}

// counters are those of one rule, at most maxCounters of them. Where there would
// be one more the one without an event for the longest time goes; of a network
// that makes many (names are the attacker's to choose) its own. So nobody can
// push others' counters out but by as many addresses as there are places.
type counters struct {
	window int64
	count  uint32
	by     map[source]*list.Element
	order  list.List // of *counter, the newest event in front
	perNet map[netip.Prefix]*list.List
}

type counter struct {
	source
	*window
	net   netip.Prefix
	inNet *list.Element
	since int64 // of the last event
}

func newCounters(window int64, count uint32) *counters {
	return &counters{window: window, count: count, by: map[source]*list.Element{}, perNet: map[netip.Prefix]*list.List{}}
}

// add counts an event of s, caused by a client of net, and returns the count.
// many says that names choose the sources, so that a network has a share only.
func (c *counters) add(s source, net netip.Prefix, many bool, now int64) uint32 {
	e := c.by[s]
	if e == nil {
		if l := c.perNet[net]; many && l != nil && l.Len() >= maxPerNetwork {
			c.drop(l.Back().Value.(*list.Element))
		}
		if c.order.Len() >= maxCounters {
			c.drop(c.order.Back())
		}
		x := &counter{source: s, window: newWindow(c.window, c.count), net: net}
		e = c.order.PushFront(x)
		c.by[s] = e
		if many {
			if c.perNet[net] == nil {
				c.perNet[net] = list.New()
			}
			x.inNet = c.perNet[net].PushFront(e)
		}
	}
	x := e.Value.(*counter)
	c.order.MoveToFront(e)
	if x.inNet != nil {
		c.perNet[x.net].MoveToFront(x.inNet)
	}
	x.since = now
	return x.add(now, c.count)
}

func (c *counters) drop(e *list.Element) {
	x := e.Value.(*counter)
	c.order.Remove(e)
	delete(c.by, x.source)
	if x.inNet != nil {
		l := c.perNet[x.net]
		if l.Remove(x.inNet); l.Len() == 0 {
			delete(c.perNet, x.net)
		}
	}
}

// reset clears the counter of a source: what it has counted has been paid for.
func (c *counters) reset(s source) {
	if e := c.by[s]; e != nil {
		c.drop(e)
	}
}

// sweep drops counters whose window has passed, at most n of them.
func (c *counters) sweep(now int64, n int) {
	for ; n > 0 && c.order.Len() > 0; n-- {
		e := c.order.Back()
		if e.Value.(*counter).since > now-c.window {
			return
		}
		c.drop(e)
	}
}

// peek returns the count of a source without an event.
func (c *counters) peek(s source, now int64) uint32 {
	if e := c.by[s]; e != nil {
		return e.Value.(*counter).window.count(now)
	}
	return 0
}
