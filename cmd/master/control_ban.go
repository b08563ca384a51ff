package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/ban"
	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// errNoBans answers where the engine is on nowhere.
var errNoBans = fmt.Errorf("%w: the ban engine is on nowhere", control.ErrRefused)

// Of one answer.
const (
	banPage     = 256
	banCounters = 256
)

// banHost returns a virtual host of the configuration in force, the default one
// for "".
func (m *master) banHost(name string) (*policy.Host, error) {
	if !m.bans.on() || !m.gen.policy.Ban.Engine {
		return nil, errNoBans
	}
	hosts := m.gen.policy.Hosts
	at := 0
	if name != "" {
		at = slices.IndexFunc(hosts, func(h policy.Host) bool { return h.Name == name })
	}
	if at < 0 {
		return nil, fmt.Errorf("%w: virtual host %s", control.ErrNotFound, logging.Quote(name))
	}
	return &hosts[at], nil
}

// requested makes the ban that an administrator asks for.
func requested(by, kind, name, server, reason string, seconds, now int64) (*ban.Ban, error) {
	k, ok := ban.KindOf(kind)
	if !ok {
		return nil, fmt.Errorf("unknown kind %q", kind)
	}
	key, err := ban.NameKey(k, name, server)
	if err != nil {
		return nil, err
	}
	x := &ban.Ban{Key: key, Created: now, Expires: ban.Forever, Origin: ban.ByAdmin, Reason: reason}
	if seconds > 0 {
		x.Expires = now + seconds*int64(time.Second)
	}
	if reason == "" {
		x.Reason = fmt.Sprintf("requested by '%s' on %s", logging.Escape(by), time.Unix(0, now).UTC().Format(time.ANSIC))
	}
	return x, nil
}

// addBans enters bans of administrators. They are on disk, told to others and
// carried out when it returns; each is answered at its place.
func (m *master) addBans(list []*ban.Ban, answers []control.BanOutcome) {
	b := m.bans
	now := b.now()
	for i, x := range list {
		if x == nil {
			continue
		}
		already, err := b.engine.Add(x, now)
		answers[i].Already = already
		if err != nil {
			answers[i].Error, answers[i].Full = err.Error(), errors.Is(err, ban.ErrFull)
			list[i] = nil
		}
	}
	err := m.commitBans()
	for i, x := range list {
		if x == nil {
			continue
		}
		if err != nil {
			answers[i].Error = "in force, but not on disk: " + err.Error()
		}
		m.banLine(logging.BanAdded, x, "banned "+banWords(x))
		m.publishBan(x)
		answers[i].Sessions = m.endBanned(x, nil)
	}
}

// Ban implements control.Backend.
func (b backend) Ban(ctx context.Context, by string, r control.BanRequest) (control.BanResult, error) {
	return ask(ctx, b.m, func(done func(control.BanResult, error)) {
		m := b.m
		if _, err := m.banHost(r.Server); err != nil {
			done(control.BanResult{}, err)
			return
		}
		res := control.BanResult{Names: make([]control.BanOutcome, len(r.Names))}
		list := make([]*ban.Ban, len(r.Names))
		for i, name := range r.Names {
			res.Names[i].Name = name
			x, err := requested(by, r.Kind, name, r.Server, r.Reason, r.Seconds, m.bans.now())
			if err != nil {
				res.Names[i].Error = err.Error()
				continue
			}
			list[i] = x
		}
		m.addBans(list, res.Names)
		done(res, nil)
	})
}

// BanImport implements control.Backend.
func (b backend) BanImport(ctx context.Context, by string, r control.BanImportRequest) (control.BanImportResult, error) {
	return ask(ctx, b.m, func(done func(control.BanImportResult, error)) {
		m := b.m
		var res control.BanImportResult
		if _, err := m.banHost(""); err != nil {
			done(res, err)
			return
		}
		answers := make([]control.BanOutcome, len(r.Entries))
		list := make([]*ban.Ban, len(r.Entries))
		for i := range r.Entries {
			e := &r.Entries[i]
			answers[i].Name = e.Name
			_, err := m.banHost(e.Server)
			if err == nil {
				list[i], err = requested(by, e.Kind, e.Name, e.Server, r.Reason, e.Seconds, m.bans.now())
			}
			if err != nil {
				answers[i].Error = err.Error()
			}
		}
		m.addBans(list, answers)
		for i := range answers {
			switch a := &answers[i]; {
			case a.Error != "":
				res.Failed = append(res.Failed, control.BanFailure{Name: a.Name, Error: a.Error})
			case a.Already:
				res.Already++
			default:
				res.Banned++
			}
		}
		done(res, nil)
	})
}

// Permit implements control.Backend.
func (b backend) Permit(ctx context.Context, by string, r control.PermitRequest) (control.PermitResult, error) {
	return ask(ctx, b.m, func(done func(control.PermitResult, error)) { b.m.permit(by, r, done) })
}

func (m *master) permit(by string, r control.PermitRequest, done func(control.PermitResult, error)) {
	_, err := m.banHost(r.Server)
	kind, ok := ban.KindOf(r.Kind)
	if err == nil && !ok {
		err = fmt.Errorf("%w: unknown kind %q", control.ErrParameters, r.Kind)
	}
	if err != nil {
		done(control.PermitResult{}, err)
		return
	}
	e := m.bans.engine
	p := permission{by: by, kind: kind, server: r.Server, done: done}
	p.res.Empty = !slices.ContainsFunc(e.All(), func(x *ban.Ban) bool { return x.Kind == kind })
	var lifted []*ban.Ban
	for _, name := range r.Names {
		o := control.PermitOutcome{Name: name}
		if name == "*" && p.rest == nil {
			for _, x := range e.All() {
				if x.Kind == kind && (r.Server == "" || x.Server == r.Server) {
					p.rest = append(p.rest, x.Key)
				}
			}
			p.all = len(p.res.Names)
		} else if name != "*" {
			l := m.lift(kind, name, r.Server)
			o.Lifted = len(l)
			lifted = append(lifted, l...)
		}
		p.res.Names = append(p.res.Names, o)
	}
	m.permitted(&p, lifted)
}

// permission is a permit command that is being carried out.
type permission struct {
	by     string
	kind   ban.Kind
	server string
	res    control.PermitResult
	rest   []ban.Key // still to be lifted, for the name "*"
	all    int       // its place in the answer
	err    error
	done   func(control.PermitResult, error)
}

// permitRound is how many bans "*" lifts before everybody else has a turn.
const permitRound = 500

// permitted writes down and tells what was lifted, and goes on with the rest.
func (m *master) permitted(p *permission, lifted []*ban.Ban) {
	if err := m.commitBans(); err != nil && p.err == nil {
		p.err = fmt.Errorf("in force, but not on disk: %w", err)
	}
	for _, x := range lifted {
		m.unpublishBan(x.Key)
		m.banLine(logging.BanLifted, x, banWords(x)+" permitted by '"+logging.Escape(p.by)+"'")
	}
	if len(p.rest) == 0 {
		m.stillBanned(p)
		p.done(p.res, p.err)
		return
	}
	m.loop.post(func() {
		n := min(len(p.rest), permitRound)
		var l []*ban.Ban
		for _, k := range p.rest[:n] {
			l = append(l, m.bans.engine.Lift(k, false, m.bans.now())...)
		}
		p.rest = p.rest[n:]
		p.res.Names[p.all].Lifted += len(l)
		m.permitted(p, l)
	})
}

// stillBanned names the bans that fit addresses which were permitted.
func (m *master) stillBanned(p *permission) {
	for i := range p.res.Names {
		o := &p.res.Names[i]
		if a, err := netip.ParseAddr(o.Name); err == nil && p.kind == ban.Host {
			for _, x := range m.bans.engine.Fitting(a.Unmap().WithZone(""), "", "", p.server, m.bans.now()) {
				o.Still = append(o.Still, x.Key.String())
			}
		}
	}
}

// lift takes out the bans of a name: on one virtual host, or (server "") on all.
func (m *master) lift(kind ban.Kind, name, server string) (out []*ban.Ban) {
	e, now := m.bans.engine, m.bans.now()
	k, err := ban.NameKey(kind, name, server)
	if err != nil {
		return nil
	}
	out = e.Lift(k, server == "", now)
	if kind != ban.Host || !k.Prefix.IsSingleIP() {
		return out
	}
	a := k.Prefix.Addr()
	if bits := m.bans.ruleBits(a, m.gen.policy); bits < a.BitLen() {
		out = append(out, e.Lift(banKey(a, bits, server), server == "", now)...)
	}
	return out
}

// BanInfo implements control.Backend.
func (b backend) BanInfo(ctx context.Context, r control.BanInfoRequest) (control.BanInfoResult, error) {
	type listing struct {
		sorted []*ban.Ban
		fresh  bool // and not sorted yet
		res    control.BanInfoResult
	}
	l, err := ask(ctx, b.m, func(done func(listing, error)) {
		m := b.m
		if _, err := m.banHost(""); err != nil {
			done(listing{}, err)
			return
		}
		e, now := m.bans.engine, m.bans.now()
		l := listing{sorted: m.bans.listing.sorted}
		if r.After == nil || l.sorted == nil {
			l.sorted, l.fresh = e.All(), true
		}
		l.res.Total, l.res.Most, l.res.Observe = e.Len(), m.bans.most, m.gen.policy.Ban.Observe
		if r.Events && r.After == nil {
			for _, c := range e.Counters(now, banCounters) {
				l.res.Counters = append(l.res.Counters, control.BanCounter{
					Event: c.Event, Source: c.Source, Server: c.Server, Count: c.Count, Most: c.Most,
					Expires: time.Unix(0, c.Since+c.Window).UTC(), Rule: c.Rule,
				})
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m.bans.stores.up)) {
			l.res.Stores = append(l.res.Stores, m.bans.stores.up[name])
		}
		done(l, nil)
	})
	if err != nil {
		return l.res, err
	}
	var after *ban.Key // the rest is done off the loop: the list may be long
	if r.After != nil {
		kind, _ := ban.KindOf(r.After.Kind)
		k, err := ban.NameKey(kind, r.After.Name, r.After.Server)
		if err != nil {
			return l.res, fmt.Errorf("%w: %w", control.ErrParameters, err)
		}
		after = &k
	}
	if l.fresh {
		slices.SortFunc(l.sorted, func(x, y *ban.Ban) int { return ban.Compare(x.Key, y.Key) })
	}
	if len(l.sorted) > banPage && l.fresh {
		b.m.loop.post(func() { b.m.keepListing(l.sorted) })
	}
	at := 0
	if after != nil {
		var there bool
		if at, there = slices.BinarySearchFunc(l.sorted, *after, func(x *ban.Ban, k ban.Key) int { return ban.Compare(x.Key, k) }); there {
			at++
		}
	}
	end := min(at+banPage, len(l.sorted))
	l.res.More = end < len(l.sorted)
	for _, x := range l.sorted[at:end] {
		l.res.Bans = append(l.res.Bans, banEntry(x))
	}
	return l.res, nil
}

// banListing is a long list in its order, for who asks for one page of it after
// the other: the first page is always of now, the others of the same moment.
type banListing struct {
	sorted []*ban.Ban // nobody changes it
	forget timer
}

// listingTime is how long pages may follow each other.
const listingTime = 30 * time.Second

func (m *master) keepListing(sorted []*ban.Ban) {
	l := &m.bans.listing
	l.sorted = sorted
	l.forget.fn = func() { l.sorted = nil }
	m.loop.after(&l.forget, listingTime)
}

func banEntry(x *ban.Ban) control.BanEntry {
	e := control.BanEntry{
		BanName: control.BanName{Kind: ban.KindNames[x.Kind], Name: x.Key.String(), Server: x.Server},
		Created: time.Unix(0, x.Created).UTC(), Origin: x.Origin, Reason: x.Reason, Message: x.Message,
		Event: x.Event, Count: x.Count, Rule: x.Rule, Node: x.Node, Times: x.Times,
	}
	if x.Expires != ban.Forever {
		e.Expires = time.Unix(0, x.Expires).UTC()
	}
	return e
}

// BanExplain implements control.Backend.
func (b backend) BanExplain(ctx context.Context, r control.BanExplainRequest) (control.BanExplainResult, error) {
	return ask(ctx, b.m, func(done func(control.BanExplainResult, error)) {
		m := b.m
		h, err := m.banHost(r.Server)
		a, bad := netip.ParseAddr(r.Address)
		if err == nil && bad != nil {
			err = fmt.Errorf("%w: address %s", control.ErrParameters, logging.Quote(r.Address))
		}
		if err != nil {
			done(control.BanExplainResult{}, err)
			return
		}
		a = a.Unmap().WithZone("")
		class := r.Class
		if class == "" {
			class = m.gen.rules.Class(a)
		}
		set := h.For(class)
		res := control.BanExplainResult{
			Address: a.String(), User: r.User, Class: class, Server: h.Name, Engine: set.BanEngine, Observe: m.gen.policy.Ban.Observe,
		}
		for _, f := range m.bans.engine.Explain(a, r.User, class, h.Name, m.bans.now()) {
			switch {
			case f.Spare:
				res.Spared = true
			case f.Ban != nil:
				res.Bans = append(res.Bans, banEntry(f.Ban))
			default:
				res.Counters = append(res.Counters, control.BanCounter{Event: f.Event, Count: f.Count, Most: f.Most, Rule: f.Rule})
			}
		}
		res.Refused = set.BanEngine && !res.Spared && len(res.Bans) > 0
		slices.SortFunc(res.Bans, func(x, y control.BanEntry) int { return strings.Compare(x.Kind, y.Kind) })
		done(res, nil)
	})
}
