package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limiter keeps a repeated event from filling the log: of the records of one
// key the first in every interval is written, the others are counted, and the
// count is written when the interval is over. It may be used from any goroutine.
type Limiter struct {
	log   *slog.Logger
	every time.Duration
	limit int

	mu   sync.Mutex
	keys map[string]*suppressed
}

type suppressed struct {
	count int
	level slog.Level
	msg   string
	attrs []slog.Attr
}

// NewLimiter writes to log. At most keys keys (such as a reason and an address)
// are told apart at a time; beyond that all new ones share one.
func NewLimiter(log *slog.Logger, every time.Duration, keys int) *Limiter {
	return &Limiter{log: log, every: every, limit: keys, keys: make(map[string]*suppressed)}
}

// Log writes the record, or counts it. The attributes of the last counted
// record are those of the line with the count.
func (l *Limiter) Log(level slog.Level, key, msg string, attrs ...slog.Attr) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	l.mu.Lock()
	s := l.keys[key]
	if s == nil && len(l.keys) >= l.limit {
		key = ""
		s = l.keys[key]
	}
	if s != nil {
		s.count++
		s.level, s.msg, s.attrs = level, msg, attrs
		l.mu.Unlock()
		return
	}
	l.keys[key] = &suppressed{}
	l.mu.Unlock()
	time.AfterFunc(l.every, func() { l.over(key) })
	l.log.LogAttrs(context.Background(), level, msg, attrs...)
}

// over ends an interval of key: a count is written and opens the next one.
func (l *Limiter) over(key string) {
	l.mu.Lock()
	s := l.keys[key]
	if s.count == 0 {
		delete(l.keys, key)
		l.mu.Unlock()
		return
	}
	c := *s
	*s = suppressed{}
	l.mu.Unlock()
	time.AfterFunc(l.every, func() { l.over(key) })
	attrs := append(append([]slog.Attr(nil), c.attrs...), slog.Int("count", c.count))
	l.log.LogAttrs(context.Background(), c.level, c.msg, attrs...)
}
