package ban

// block keeps the books of the banned prefixes within each aggregate.
func (e *Engine) block(k Key, in bool) {
	if k.Kind != Host || k.Prefix.Addr().Is4() {
		return
	}
	for _, a := range e.cfg.Aggregate {
		if int(a.Bits) >= k.Prefix.Bits() {
			continue
		}
		p, _ := k.Prefix.Addr().Prefix(int(a.Bits))
		b := Key{Kind: Host, Prefix: p, Server: k.Server}
		if !in {
			if delete(e.blocks[b], k); len(e.blocks[b]) == 0 {
				delete(e.blocks, b)
			}
			continue
		}
		if e.blocks[b] == nil {
			e.blocks[b] = map[Key]struct{}{}
		}
		e.blocks[b][k] = struct{}{}
	}
}

// aggregate makes one ban of a prefix in which enough are banned: an attacker who
// owns a /48 must not fill the table with its 65,536 networks. What it holds is
// lifted, and it lasts as long as the longest of them.
func (e *Engine) aggregate(b *Ban, now int64) []*Ban {
	if b.Kind != Host || b.Prefix.Addr().Is4() {
		return nil
	}
	var out []*Ban
	for _, a := range e.cfg.Aggregate {
		if int(a.Bits) >= b.Prefix.Bits() || a.Count < 2 {
			continue
		}
		p, _ := b.Prefix.Addr().Prefix(int(a.Bits))
		k := Key{Kind: Host, Prefix: p, Server: b.Server}
		if uint32(len(e.blocks[k])) < a.Count || e.sparedPrefix(p) {
			continue
		}
		whole := &Ban{Key: k, Created: now, Expires: b.Expires, Origin: ByRule, Reason: b.Reason, Message: b.Message, Event: b.Event, Count: uint32(len(e.blocks[k])), Rule: b.Rule, Times: 1}
		for in := range e.blocks[k] {
			x := e.bans[in]
			if x.Origin == ByAdmin {
				continue
			}
			whole.Expires = max(whole.Expires, x.Expires)
			e.out(x)
			if e.journal != nil {
				e.journal.Lifted(in)
			}
		}
		if e.put(whole, now) == nil {
			out = append(out, whole)
			b = whole
		}
	}
	return out
}
