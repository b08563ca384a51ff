package logging

import (
	"context"
	"log/slog"
	"time"
)

// pair is an attribute as records carry it: flat, its value text.
type pair struct{ key, value string }

// record is what an encoder gets: bounded, but raw.
type record struct {
	time    time.Time
	level   slog.Level
	message string
	attrs   []pair
}

func (r *record) get(key string) string {
	for i := len(r.attrs) - 1; i >= 0; i-- {
		if r.attrs[i].key == key {
			return r.attrs[i].value
		}
	}
	return ""
}

// encoder turns a record into the bytes of one write.
type encoder interface {
	encode(r *record) []byte
}

// handler is the slog.Handler of both formats.
type handler struct {
	queue *queue
	enc   encoder
	level slog.Leveler
	group string // "a_b_"
	attrs []pair
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	rec := record{time: r.Time, level: r.Level, message: clip(r.Message, maxMessage)}
	rec.attrs = append(make([]pair, 0, len(h.attrs)+r.NumAttrs()), h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		rec.attrs = appendAttr(rec.attrs, h.group, a, 0)
		return true
	})
	h.queue.put(h.enc.encode(&rec))
	return nil
}

func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(make([]pair, 0, len(h.attrs)+len(as)), h.attrs...)
	for _, a := range as {
		c.attrs = appendAttr(c.attrs, h.group, a, 0)
	}
	return &c
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.group = h.group + name + "_"
	return &c
}

// appendAttr flattens a; an attribute set twice keeps its last value, so that a
// record has each field once.
func appendAttr(l []pair, prefix string, a slog.Attr, depth int) []pair {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		if depth < 4 {
			for _, g := range v.Group() {
				l = appendAttr(l, prefix, g, depth+1)
			}
		}
		return l
	}
	if a.Key == "" {
		return l
	}
	p := pair{prefix + a.Key, clip(valueText(v), maxValue)}
	for i := range l {
		if l[i].key == p.key {
			l[i] = p
			return l
		}
	}
	if len(l) < maxAttrs {
		l = append(l, p)
	}
	return l
}

func valueText(v slog.Value) string {
	if v.Kind() == slog.KindAny {
		switch x := v.Any().(type) {
		case error:
			return x.Error()
		case []byte:
			return string(x)
		}
	}
	return v.String()
}
