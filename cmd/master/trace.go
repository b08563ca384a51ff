package main

import (
	"log/slog"

	"sallyport/internal/logging"
)

// The trace channels: streams of detail that `ftpdctl trace` switches on. Levels
// up to 5 tell of steps, up to 10 of every message; secrets are on none.
const (
	traceAccept  = "accept"
	traceAuthd   = "authd"
	traceData    = "data"
	traceDelay   = "delay"
	traceLogin   = "login"
	tracePool    = "pool"
	traceSession = "session"
)

// tracing tells whether a line would be written, for those that cost something.
func (m *master) tracing(channel string, level int) bool { return m.tracer.Channel(channel).On(level) }

// trace writes a line of a channel, if that is on; c is the connection it is
// about, or nil.
func (m *master) trace(channel string, level int, msg string, c *client, attrs ...slog.Attr) {
	ch := m.tracer.Channel(channel)
	if !ch.On(level) {
		return
	}
	if c != nil {
		attrs = append([]slog.Attr{logging.Peer(c.peer.String()), logging.Session(c.id)}, attrs...)
	}
	ch.Log(level, msg, attrs...)
}
