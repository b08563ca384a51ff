package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/policy"
)

// A lister is a kind of block that makes a list in the settings of a session or
// in a host. There are three kinds of lists:
//
// In those with a selector the first entry that fits decides. Blocks of a
// virtual_host or an anonymous block replace what is inherited, those of a `when`
// come before it. What nobody can reach is dropped.
//
// In those with a key every entry holds. A block replaces the inherited one of the
// same key, and one that comes to nothing takes it away.
//
// In the others the blocks of a virtual_host replace what is inherited.
type lister interface {
	blockPath() string
	keyed() bool
	join(c *scope, sec *section, before bool)
	settle(c *scope)
	show(n *node, pairs []pair, before bool, keep func(*Key, string) bool)
}

// pair is what a list comes from and what it comes to; without a from it is told
// whole.
type pair struct{ from, to *scope }

// list is the lister of entries T.
type list[T any] struct {
	path   string
	at     func(*scope) *[]T
	with   func(*T) *scope
	sel    func(*T) *policy.Selector // entries that pick
	key    func(*T) string           // entries by name
	none   func(*T) bool             // the entry comes to nothing
	off    func(*T)                  // makes an entry that does
	closed bool                      // whom no entry fits gets one that comes to nothing
	parts  func(*T) *[]string        // what an entry that picks is about; nil: all is one
}

func (l *list[T]) blockPath() string { return l.path }

func (l *list[T]) keyed() bool { return l.key != nil }

// blank is an entry with the defaults of its keys.
func (l *list[T]) blank() T {
	var e T
	c := l.with(&e)
	for _, k := range grammar().keys {
		if k.Default != "" && k.In == own && strings.HasPrefix(k.Path, l.path+".") {
			v := mustValue(k.Default)
			k.Type.read(&v, k.at(c), func(pr problem) { panic("config: default of " + k.Path + ": " + pr.what) })
		}
	}
	return e
}

// entries are those of the blocks that stand in sec.
func (l *list[T]) entries(sec *section) []T {
	var out []T
	for _, k := range sec.kids {
		if k.block.Path != l.path {
			continue
		}
		e := l.blank()
		c := l.with(&e)
		if b := k.block; b.LabelType != nil {
			v := labelValue(k.label)
			b.LabelType.read(&v, b.labelAt(c), func(problem) {})
		}
		k.apply(c)
		out = append(out, e)
	}
	return out
}

func (l *list[T]) join(c *scope, sec *section, before bool) {
	own, at := l.entries(sec), l.at(c)
	switch {
	case len(own) == 0:
	case l.key != nil:
		*at = slices.Clone(*at)
		for _, e := range own {
			if i := l.index(*at, &e); i >= 0 {
				(*at)[i] = e
			} else {
				*at = append(*at, e)
			}
		}
	case before || sec.set(l.path) != nil: // a single value stands behind the blocks
		*at = slices.Concat(own, *at)
	default:
		*at = own
	}
}

func (l *list[T]) index(in []T, e *T) int {
	return slices.IndexFunc(in, func(x T) bool { return l.key(&x) == l.key(e) })
}

func (l *list[T]) settle(c *scope) {
	at := l.at(c)
	switch {
	case l.key != nil:
		out := slices.DeleteFunc(slices.Clone(*at), func(e T) bool { return l.none(&e) })
		slices.SortStableFunc(out, func(a, b T) int { return strings.Compare(l.key(&a), l.key(&b)) })
		*at = nonEmpty(out)
	case l.sel != nil:
		*at = nonEmpty(l.reachable(*at))
	}
}

func nonEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// reachable drops entries that nobody can get: those after one for everybody and
// those whose selector occurred before. Of a list that is not closed it drops also
// the entries for everybody that come to nothing, as the end of the list does.
func (l *list[T]) reachable(in []T) []T {
	var out []T
	var passed []T // with those that were dropped
	for _, e := range in {
		parts := []string{""}
		if l.parts != nil {
			parts = *l.parts(&e)
		}
		parts = slices.DeleteFunc(slices.Clone(parts), func(part string) bool {
			return slices.ContainsFunc(passed, func(p T) bool {
				return l.about(&p, part) && (everybody(l.sel(&p)) || reflect.DeepEqual(l.sel(&p), l.sel(&e)))
			})
		})
		if len(parts) == 0 {
			continue
		}
		if l.parts != nil {
			*l.parts(&e) = parts
		}
		passed = append(passed, e)
		if l.closed || !l.none(&e) || !everybody(l.sel(&e)) {
			out = append(out, e)
		}
	}
	if l.closed && !slices.ContainsFunc(out, func(e T) bool { return everybody(l.sel(&e)) }) {
		out = append(out, l.nothing())
	}
	return out
}

func (l *list[T]) about(e *T, part string) bool {
	return l.parts == nil || slices.Contains(*l.parts(e), part)
}

// nothing is the entry for everybody that comes to nothing.
func (l *list[T]) nothing() T {
	e := l.blank()
	l.off(&e)
	return e
}

// show enters blocks that make the list of each pair's from that of its to.
func (l *list[T]) show(n *node, pairs []pair, before bool, keep func(*Key, string) bool) {
	shown := map[string]bool{}
	for _, p := range pairs {
		var from []T
		if p.from != nil {
			from = *l.at(p.from)
		}
		to := *l.at(p.to)
		if p.from != nil && reflect.DeepEqual(from, to) {
			continue
		}
		if l.key != nil {
			l.showKeyed(n, from, to, shown, keep)
			continue
		}
		if k := grammar().byKey[l.path]; k != nil && k.Type.show(k.at(p.to)) != "" {
			continue // it is told as a value
		}
		for i := range to {
			l.put(n, &to[i], keep)
		}
		if l.sel != nil && (before || len(to) == 0) {
			l.close(n, from, to, keep)
		}
		return
	}
}

func (l *list[T]) showKeyed(n *node, from, to []T, shown map[string]bool, keep func(*Key, string) bool) {
	put := func(e *T) {
		if !shown[l.key(e)] {
			shown[l.key(e)] = true
			l.put(n, e, keep)
		}
	}
	for i := range to {
		if j := l.index(from, &to[i]); j < 0 || !reflect.DeepEqual(from[j], to[i]) {
			put(&to[i])
		}
	}
	for i := range from {
		if l.index(to, &from[i]) < 0 {
			e := from[i]
			l.off(&e)
			put(&e)
		}
	}
}

// close ends a list that has no entry for everybody, where that of from would go
// on.
func (l *list[T]) close(n *node, from, to []T, keep func(*Key, string) bool) {
	if l.closed {
		return
	}
	if l.parts == nil {
		if len(from) > 0 && !slices.ContainsFunc(to, func(e T) bool { return everybody(l.sel(&e)) }) {
			e := l.nothing()
			l.put(n, &e, keep)
		}
		return
	}
	var open []string
	for i := range from {
		for _, part := range *l.parts(&from[i]) {
			ends := func(e T) bool { return everybody(l.sel(&e)) && l.about(&e, part) }
			if !slices.Contains(open, part) && !slices.ContainsFunc(to, ends) {
				open = append(open, part)
			}
		}
	}
	if len(open) > 0 {
		e := l.nothing()
		*l.parts(&e) = open
		l.put(n, &e, keep)
	}
}

func (l *list[T]) put(n *node, e *T, keep func(*Key, string) bool) {
	c, b := l.with(e), grammar().byBlock[l.path]
	label := ""
	if b.LabelType != nil {
		v := mustValue(b.LabelType.show(b.labelAt(c)))
		label, _ = v.text()
	}
	n.sub(l.path, label, b.Label != "").own(l.path+".", c, keep)
}

// lists are all kinds of lists of settings; the anonymous blocks are none of them.
var lists = sync.OnceValue(func() []lister {
	return []lister{
		&list[policy.Root]{
			path: "root", closed: true,
			at:   func(c *scope) *[]policy.Root { return &c.s.Roots },
			with: func(e *policy.Root) *scope { return &scope{o: e} },
			sel:  func(e *policy.Root) *policy.Selector { return &e.Selector },
			none: func(e *policy.Root) bool { return e.Path == noRoot },
			off:  func(e *policy.Root) { e.Path = noRoot },
		},
		&list[policy.Choice]{
			path: "default_chdir",
			at:   func(c *scope) *[]policy.Choice { return &c.s.Chdir },
			with: func(e *policy.Choice) *scope { return &scope{start: e} },
			sel:  func(e *policy.Choice) *policy.Selector { return &e.Selector },
			none: func(e *policy.Choice) bool { return e.Path == "" },
			off:  func(e *policy.Choice) { e.Path = "" },
		},
		sizes("max.store_file_size", func(c *scope) *[]policy.SizeFor { return &c.s.StoreSizes }),
		sizes("max.retrieve_file_size", func(c *scope) *[]policy.SizeFor { return &c.s.RetrieveSizes }),
		&list[policy.TimeoutFor]{
			path: "timeout.session",
			at:   func(c *scope) *[]policy.TimeoutFor { return &c.s.TimeoutSession },
			with: func(e *policy.TimeoutFor) *scope { return &scope{time: e} },
			sel:  func(e *policy.TimeoutFor) *policy.Selector { return &e.Selector },
			none: func(e *policy.TimeoutFor) bool { return e.Seconds == 0 },
			off:  func(e *policy.TimeoutFor) { e.Seconds = 0 },
		},
		&list[policy.RateFor]{
			path:  "transfer_rate",
			at:    func(c *scope) *[]policy.RateFor { return &c.s.Rates },
			with:  func(e *policy.RateFor) *scope { return &scope{rate: e} },
			sel:   func(e *policy.RateFor) *policy.Selector { return &e.Selector },
			none:  func(e *policy.RateFor) bool { return e.PerSecond == 0 },
			off:   func(e *policy.RateFor) { e.PerSecond, e.Free, e.Commands = 0, 0, transferVerbs },
			parts: func(e *policy.RateFor) *[]string { return &e.Commands },
		},
		counts("max.transfers_per_host", func(c *scope) *[]policy.TransferLimit { return &c.s.Max.TransfersPerHost }),
		counts("max.transfers_per_user", func(c *scope) *[]policy.TransferLimit { return &c.s.Max.TransfersPerUser }),
		&list[policy.ExtendedLog]{
			path: "log.extended",
			at:   func(c *scope) *[]policy.ExtendedLog { return &c.s.Log.Extended },
			with: func(e *policy.ExtendedLog) *scope { return &scope{log: e} },
			key:  func(e *policy.ExtendedLog) string { return e.Path },
			none: func(e *policy.ExtendedLog) bool { return e.Classes == 0 && len(e.Verbs) == 0 },
			off:  func(e *policy.ExtendedLog) { e.Classes, e.NotClasses, e.Verbs, e.Not = 0, 0, nil, nil },
		},
		&list[policy.Alias]{
			path: "alias",
			at:   func(c *scope) *[]policy.Alias { return &c.s.Auth.Aliases },
			with: func(e *policy.Alias) *scope { return &scope{alias: e} },
			key:  func(e *policy.Alias) string { return e.Name },
			none: func(e *policy.Alias) bool { return false },
			off:  func(*policy.Alias) {},
		},
		&list[string]{
			path: "user_password",
			at:   func(c *scope) *[]string { return &c.s.Auth.Passwords },
			with: func(e *string) *scope { return &scope{pass: e} },
			key:  func(e *string) string { name, _, _ := strings.Cut(*e, ":"); return name },
			none: func(*string) bool { return false },
			off:  func(*string) {},
		},
		&list[policy.DelayEvent]{
			path: "delay.on_event",
			at:   func(c *scope) *[]policy.DelayEvent { return &c.s.Auth.Delay.Events },
			with: func(e *policy.DelayEvent) *scope { return &scope{event: e} },
			key:  func(e *policy.DelayEvent) string { return e.Event },
			none: func(e *policy.DelayEvent) bool { return e.Max == 0 },
			off:  func(e *policy.DelayEvent) { e.Min, e.Max = 0, 0 },
		},
		&list[policy.Certificate]{
			path: "tls.certificate",
			at:   func(c *scope) *[]policy.Certificate { return &c.h.TLS.Certificates },
			with: func(e *policy.Certificate) *scope { return &scope{cert: e} },
		},
		&list[policy.CertificateUser]{
			path: "tls.client.map",
			at:   func(c *scope) *[]policy.CertificateUser { return &c.h.TLS.Client.Map },
			with: func(e *policy.CertificateUser) *scope { return &scope{mapped: e} },
			key:  func(e *policy.CertificateUser) string { return e.Fingerprint },
			none: func(*policy.CertificateUser) bool { return false },
			off:  func(*policy.CertificateUser) {},
		},
	}
})

func sizes(path string, at func(*scope) *[]policy.SizeFor) lister {
	return &list[policy.SizeFor]{
		path: path, at: at,
		with: func(e *policy.SizeFor) *scope { return &scope{size: e} },
		sel:  func(e *policy.SizeFor) *policy.Selector { return &e.Selector },
		none: func(e *policy.SizeFor) bool { return e.Max == 0 },
		off:  func(e *policy.SizeFor) { e.Max = 0 },
	}
}

func counts(path string, at func(*scope) *[]policy.TransferLimit) lister {
	return &list[policy.TransferLimit]{
		path: path, at: at,
		with: func(e *policy.TransferLimit) *scope { return &scope{count: e} },
		key:  func(e *policy.TransferLimit) string { return strings.Join(e.Commands, ",") },
		none: func(e *policy.TransferLimit) bool { return e.Count == 0 },
		off:  func(e *policy.TransferLimit) { e.Count, e.Message = 0, "" },
	}
}

// listsIn are the lists whose blocks may stand in a context.
func listsIn(ctx Context) []lister {
	var out []lister
	for _, l := range lists() {
		if grammar().byBlock[l.blockPath()].In&ctx != 0 {
			out = append(out, l)
		}
	}
	return out
}
