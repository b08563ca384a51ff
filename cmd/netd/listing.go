package main

import (
	"context"
	"strings"

	"sallyport/ipc"
)

// listing is a walk over the keys of a Redis server, one step at a time: in
// between the connection serves changes.
type listing struct {
	open   bool
	stale  bool // too much has changed meanwhile
	cursor string
	steps  int
	found  int
}

// Bounds of a listing.
const (
	listCount = "512" // keys that a step looks at, a hint
	maxSteps  = 200_000
)

// begin begins a listing, unless one is under way.
func (r *redisLife) begin() {
	if r.list.open {
		return
	}
	r.mu.Lock()
	r.list = listing{open: true, cursor: "0"}
	r.touched = map[string]struct{}{}
	r.mu.Unlock()
}

// step takes the next keys.
func (r *redisLife) step(ctx context.Context) error {
	answer, err := r.cmd.do("SCAN", r.list.cursor, "MATCH", globQuote(r.share.Prefix)+"*", "COUNT", listCount)
	if err != nil {
		return err
	}
	if len(answer.list) != 2 || answer.list[0].kind != '$' || len(answer.list[0].text) > 20 || answer.list[1].kind != '*' {
		return errResp
	}
	keys, gone := r.keysOf(answer.list[1].list)
	var b []byte
	for _, k := range keys {
		b = r.appendGet(b, r.share.Prefix+k)
	}
	values := make([][]byte, len(keys))
	err = r.cmd.exchange(b, len(keys), func(i int, v *reply) (err error) {
		values[i], err = valueOf(v)
		return err
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, k := range keys {
		r.listed(ctx, k, values[i], gone[k])
	}
	r.list.cursor = answer.list[0].text
	r.list.steps++
	if r.list.cursor != "0" && r.list.steps < maxSteps && r.list.found < maxFound {
		return nil
	}
	if r.list.stale && r.list.steps < maxSteps {
		r.list = listing{open: true, cursor: "0", steps: r.list.steps}
		return nil
	}
	r.list.open, r.touched = false, nil
	return nil
}

// keysOf are the bans' keys among those of a step, and those that were lifted.
// The latter are looked up too: a daemon that knows of no lifting may have stored
// them again.
func (r *redisLife) keysOf(list []reply) (keys []string, gone map[string]bool) {
	gone = map[string]bool{}
	for i := range list {
		k, ok := strings.CutPrefix(list[i].text, r.share.Prefix)
		if !ok || list[i].kind != '$' {
			continue
		}
		k, was := strings.CutPrefix(k, redisLifted)
		if !isKey(k) || gone[k] {
			continue
		}
		if was {
			gone[k] = true
		}
		keys = append(keys, k)
	}
	return keys, gone
}

// listed tells of a key that a step came by, where master does not know it yet.
func (r *redisLife) listed(ctx context.Context, key string, value []byte, gone bool) {
	if _, later := r.touched[key]; later {
		return
	}
	known, ok := r.told[key]
	switch {
	case value != nil:
		if now := digest(value); !ok || known != now {
			r.told[key] = now
			r.found(ctx, key, value)
		}
	case gone:
		if !ok || known != lifted {
			r.told[key] = lifted
			r.tell(ctx, &ipc.BanGone{Key: key})
		}
	default: // ended in between
		return
	}
	r.list.found++
}

// globQuote makes a text one that SCAN's pattern takes as it is.
func globQuote(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}
