package ban

import "slices"

// Load enters bans that are in the journal already, such as those of an earlier
// run. What has ended is left out, and so is what does not fit in: that is
// counted. A ban of something that is never banned any more is kept: it is the
// administrator's to lift, and it does not hold.
func (e *Engine) Load(bans []*Ban, now int64) (left int) {
	slices.SortFunc(bans, func(a, b *Ban) int { // the longest first, those of administrators before all
		switch {
		case (a.Origin == ByAdmin) != (b.Origin == ByAdmin):
			if a.Origin == ByAdmin {
				return -1
			}
			return 1
		case a.Expires > b.Expires:
			return -1
		case a.Expires < b.Expires:
			return 1
		}
		return 0
	})
	for _, b := range bans {
		switch {
		case !b.Live(now):
			e.remember(b)
		case e.bans[b.Key] == nil && len(e.bans) >= int(max(e.cfg.Most, 1)) && b.Expires != Forever:
			left++
		default:
			b.Times = max(b.Times, 1)
			if old := e.bans[b.Key]; old != nil {
				e.out(old)
			}
			e.in(b)
		}
	}
	return left
}

// Get returns the ban of a key, nil where there is none.
func (e *Engine) Get(k Key) *Ban {
	if x := e.bans[k]; x != nil {
		return x.Ban
	}
	return nil
}

// SetMirror puts another mirror in the place of the former one. It is filled by
// Mirrored.
func (e *Engine) SetMirror(m Mirror) { e.mirror = m }

// Mirrored puts every ban into the mirror.
func (e *Engine) Mirrored() error {
	for _, x := range e.bans {
		if err := e.mirror.Put(x.Key, x.Expires); err != nil {
			return err
		}
	}
	return nil
}

// Spared tells whether a client is never banned.
func (e *Engine) Spared(ev Event) bool { return e.spared(ev.Addr.Unmap().WithZone(""), ev.Class) }
