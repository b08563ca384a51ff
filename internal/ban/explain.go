package ban

import (
	"net/netip"
	"slices"
	"strings"
)

// Finding is one thing that speaks for or against a client.
type Finding struct {
	Ban   *Ban   // a ban that fits
	Event string // or a counter: how far from a ban it is
	Count uint32
	Most  uint32
	Rule  string
	Spare bool // the address or class is never banned
}

// Explain says whether a client would be refused now, and what counts against
// it. user and class may be empty.
func (e *Engine) Explain(a netip.Addr, user, class, server string, now int64) []Finding {
	a = a.Unmap().WithZone("")
	var out []Finding
	if e.spared(a, class) {
		out = append(out, Finding{Spare: true})
	}
	for _, b := range e.Fitting(a, user, class, server, now) {
		out = append(out, Finding{Ban: b})
	}
	ev := Event{Addr: a, User: user, Class: class, Server: server}
	for _, rs := range e.rules {
		for _, r := range rs {
			src, _, ok := e.source(r, &ev)
			if !ok {
				continue
			}
			if n := r.counts.peek(src, now); n > 0 {
				out = append(out, Finding{Event: r.Event, Count: n, Most: r.Count, Rule: r.At})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y Finding) int { return strings.Compare(x.Event, y.Event) })
	return out
}

// Fitting returns the bans that fit a client.
func (e *Engine) Fitting(a netip.Addr, user, class, server string, now int64) []*Ban {
	var out []*Ban
	look := func(k Key) {
		for _, s := range []string{"", server} {
			k.Server = s
			if x := e.bans[k]; x != nil && x.Live(now) && !slices.Contains(out, x.Ban) {
				out = append(out, x.Ban)
			}
		}
	}
	for n := a.BitLen(); n >= 0 && a.IsValid(); n-- {
		p, _ := a.Prefix(n)
		look(Key{Kind: Host, Prefix: p})
	}
	if class != "" {
		look(Key{Kind: Class, Name: class})
	}
	if user != "" {
		look(Key{Kind: User, Name: user})
		look(Key{Kind: UserAt, Name: At(user, a)})
	}
	return out
}

// Counting is a counter in the books.
type Counting struct {
	Event  string
	Source string
	Server string
	Count  uint32
	Most   uint32
	Since  int64 // of its newest event, Unix nanoseconds
	Window int64
	Rule   string
}

// Counters lists the counters that count something, at most n, those nearest to
// a ban first.
func (e *Engine) Counters(now int64, n int) []Counting {
	var out []Counting
	for _, rs := range e.rules {
		for _, r := range rs {
			for el := r.counts.order.Front(); el != nil; el = el.Next() {
				x := el.Value.(*counter)
				if c := x.window.count(now); c > 0 {
					name := x.name
					if r.target == Host {
						name = Key{Kind: Host, Prefix: x.prefix}.String()
					}
					out = append(out, Counting{r.Event, name, x.server, c, r.Count, x.since, r.Window, r.At})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Counting) int {
		return int(int64(a.Most)-int64(a.Count)) - int(int64(b.Most)-int64(b.Count))
	})
	return out[:min(len(out), n)]
}
