package access

import (
	"net/netip"
	"slices"

	"sallyport/internal/policy"
)

// classes finds the first class that fits an address. Every prefix of every
// class is in one table; an address is looked up once for each length that
// occurs, however many prefixes there are.
type classes struct {
	table map[netip.Prefix][]entry
	bits4 []int // the lengths that occur
	bits6 []int
	all   []bool // by class: match "all"
	need  []int  // by class: how many plain items there are
	open  []int  // classes with match "all" and nothing but "!" items, in order
}

// entry says that a prefix is an item of a class.
type entry struct {
	class int
	not   bool
}

func newClasses(list []policy.Class) classes {
	c := classes{table: map[netip.Prefix][]entry{}, all: make([]bool, len(list)), need: make([]int, len(list))}
	for i := range list {
		from := &list[i].From
		c.all[i] = from.Match == "all"
		for _, item := range from.Items {
			c.add(i, item)
		}
		if c.all[i] && c.need[i] == 0 && len(from.Items) > 0 {
			c.open = append(c.open, i)
		}
	}
	slices.Sort(c.bits4)
	slices.Sort(c.bits6)
	c.bits4, c.bits6 = slices.Compact(c.bits4), slices.Compact(c.bits6)
	return c
}

// add enters an item. One that is no prefix is a class of its own trouble: as a
// plain item it fits nobody, negated it fits everybody, so that failure closes.
func (c *classes) add(class int, item policy.AddressItem) {
	if !item.Not {
		c.need[class]++
	}
	p, err := netip.ParsePrefix(item.Prefix)
	if item.Prefix == "all" || err != nil && item.Not {
		c.put(netip.PrefixFrom(netip.IPv4Unspecified(), 0), entry{class, item.Not})
		c.put(netip.PrefixFrom(netip.IPv6Unspecified(), 0), entry{class, item.Not})
		return
	}
	if err != nil {
		return
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	c.put(p.Masked(), entry{class, item.Not})
}

// put enters one prefix. The same item twice is counted twice, on both sides.
func (c *classes) put(p netip.Prefix, e entry) {
	c.table[p] = append(c.table[p], e)
	if p.Addr().Is4() {
		c.bits4 = append(c.bits4, p.Bits())
	} else {
		c.bits6 = append(c.bits6, p.Bits())
	}
}

// hit counts what an address has of a class.
type hit struct {
	class, plain int
	not          bool
}

// first returns the index of the first class that fits, or -1.
func (c *classes) first(a netip.Addr) int {
	var room [16]hit
	hits := room[:0]
	bits := c.bits6
	if a.Is4() {
		bits = c.bits4
	}
	for _, n := range bits {
		p, err := a.Prefix(n)
		if err != nil {
			return -1
		}
		for _, e := range c.table[p] {
			hits = count(hits, e)
		}
	}
	best := -1
	for _, h := range hits {
		fits := !h.not && h.plain > 0 && (!c.all[h.class] || h.plain == c.need[h.class])
		if fits && (best < 0 || h.class < best) {
			best = h.class
		}
	}
	for _, i := range c.open {
		if best >= 0 && best < i {
			break
		}
		if !slices.ContainsFunc(hits, func(h hit) bool { return h.class == i }) {
			return i
		}
	}
	return best
}

func count(hits []hit, e entry) []hit {
	for i := range hits {
		if hits[i].class == e.class {
			hits[i].not = hits[i].not || e.not
			if !e.not {
				hits[i].plain++
			}
			return hits
		}
	}
	h := hit{class: e.class, not: e.not}
	if !e.not {
		h.plain = 1
	}
	return append(hits, h)
}
