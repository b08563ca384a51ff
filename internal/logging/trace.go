package logging

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// Tracer holds the trace channels: named streams of detail, each with a level
// from 0 (off) to 20. A channel that is off costs one atomic load. Nothing
// secret is traced at any level.
type Tracer struct {
	log      *slog.Logger
	names    []string // sorted
	channels map[string]*Channel
}

// Channel is one trace channel; a nil one is off.
type Channel struct {
	name  string
	level atomic.Int32
	log   *slog.Logger
}

// NewTracer makes the channels, all off.
func NewTracer(log *slog.Logger, names ...string) *Tracer {
	t := &Tracer{log: log, names: slices.Sorted(slices.Values(names)), channels: make(map[string]*Channel)}
	for _, n := range t.names {
		t.channels[n] = &Channel{name: n, log: log}
	}
	return t
}

// Channel returns the channel of that name, or nil.
func (t *Tracer) Channel(name string) *Channel { return t.channels[name] }

// Names lists the channels in order.
func (t *Tracer) Names() []string { return t.names }

// Level is how much of the channel is logged.
func (c *Channel) Level() int {
	if c == nil {
		return 0
	}
	return int(c.level.Load())
}

// Set changes the level, bounded to 0..20.
func (c *Channel) Set(level int) { c.level.Store(int32(min(max(level, 0), 20))) }

// On tells whether Log at this level would write: guard costly arguments by it.
func (c *Channel) On(level int) bool { return c != nil && int(c.level.Load()) >= level && level > 0 }

// Log writes a record of the channel if its level reaches that far. Trace
// records are Info: they were asked for.
func (c *Channel) Log(level int, msg string, attrs ...slog.Attr) {
	if !c.On(level) {
		return
	}
	attrs = append([]slog.Attr{slog.String("trace", c.name), slog.Int("trace_level", level)}, attrs...)
	c.log.LogAttrs(context.Background(), slog.LevelInfo, msg, attrs...)
}
