package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/version"
)

// backend is what the control socket's server may ask of master. The server's
// goroutines call it; every method posts to the loop and waits for the answer,
// or for its context.
type backend struct{ m *master }

// startControl opens the control socket; inherit is the descriptor an earlier
// image left, or 0.
func (m *master) startControl(inherit int) error {
	var err error
	m.control, err = control.Serve(control.Options{
		Control: m.gen.policy.Global.Control, Workers: m.workerUsers(), Backend: backend{m},
		Version: version.Version, Log: m.log.Logger, Inherit: inherit,
	})
	if err != nil {
		return fmt.Errorf("control socket %q: %w", m.gen.policy.Global.Control.Socket, err)
	}
	return nil
}

// workerUsers are the users that must never command the daemon.
func (m *master) workerUsers() []string {
	if !m.who.root {
		return nil // everything has one identity
	}
	return []string{m.gen.policy.Global.User}
}

// closeControl ends the control server off the loop; the stop waits for it.
func (m *master) closeControl() {
	srv := m.control
	m.control = nil
	if m.upgrades.control > 0 { // handed over for an upgrade that the stop has overtaken
		_ = unix.Unlink(m.gen.policy.Global.Control.Socket)
		unix.Close(m.upgrades.control)
		m.upgrades.control = 0
	}
	if srv == nil {
		return
	}
	m.spawning++
	go func() {
		srv.Close()
		m.loop.post(func() {
			m.spawning--
			m.drained()
		})
	}()
}

// answer is what a method waits for.
type answer[T any] struct {
	v   T
	err error
}

// ask runs fn on the loop. fn calls its argument once, then or later.
func ask[T any](ctx context.Context, m *master, fn func(done func(T, error))) (T, error) {
	ch := make(chan answer[T], 1)
	m.loop.post(func() { fn(func(v T, err error) { ch <- answer[T]{v, err} }) })
	select {
	case a := <-ch:
		return a.v, a.err
	case <-ctx.Done():
		select {
		case a := <-ch: // the end of the server came right behind it
			return a.v, a.err
		default:
		}
		var none T
		return none, fmt.Errorf("no answer from the daemon: %w", ctx.Err())
	}
}

// Status implements control.Backend.
func (b backend) Status(ctx context.Context) (control.Status, error) {
	return ask(ctx, b.m, func(done func(control.Status, error)) { done(b.m.status(), nil) })
}

// Who implements control.Backend.
func (b backend) Who(ctx context.Context) ([]control.SessionInfo, error) {
	return ask(ctx, b.m, func(done func([]control.SessionInfo, error)) { done(b.m.sessionList(), nil) })
}

// Kick implements control.Backend.
func (b backend) Kick(ctx context.Context, r control.KickRequest) (control.KickResult, error) {
	return ask(ctx, b.m, func(done func(control.KickResult, error)) { done(b.m.kick(r)) })
}

// Reload implements control.Backend.
func (b backend) Reload(ctx context.Context) (control.ReloadResult, error) {
	return ask(ctx, b.m, func(done func(control.ReloadResult, error)) { b.m.reload(done) })
}

// Shutdown implements control.Backend.
func (b backend) Shutdown(ctx context.Context, grace time.Duration) error {
	_, err := ask(ctx, b.m, func(done func(struct{}, error)) {
		if b.m.stopping && grace > 0 {
			done(struct{}{}, fmt.Errorf("%w: the service is stopping", control.ErrRefused))
			return
		}
		done(struct{}{}, nil) // a stop ends the socket
		b.m.stop(grace, "control socket")
	})
	return err
}

// Trace implements control.Backend.
func (b backend) Trace(ctx context.Context, set []control.TraceLevel) ([]control.TraceLevel, error) {
	return ask(ctx, b.m, func(done func([]control.TraceLevel, error)) {
		l, err := setTrace(b.m.tracer, set)
		if a := b.m.authd.now; a != nil && len(set) > 0 && err == nil {
			b.m.tellDelayTrace(a)
		}
		done(l, err)
	})
}

// Upgrade implements control.Backend.
func (b backend) Upgrade(ctx context.Context) error {
	_, err := ask(ctx, b.m, func(done func(struct{}, error)) {
		b.m.upgrade(func(err error) { done(struct{}{}, err) })
	})
	return err
}

// setTrace sets channels, all or none, and lists them.
func setTrace(t *logging.Tracer, set []control.TraceLevel) ([]control.TraceLevel, error) {
	for _, x := range set {
		switch {
		case t.Channel(x.Channel) == nil:
			return nil, fmt.Errorf("%w: no trace channel %s; there are %s", control.ErrParameters, logging.Quote(x.Channel), strings.Join(t.Names(), ", "))
		case x.Level < 0 || x.Level > control.MaxTraceLevel:
			return nil, fmt.Errorf("%w: trace channel %s, level %d: from 0 to %d", control.ErrParameters, logging.Quote(x.Channel), x.Level, control.MaxTraceLevel)
		}
	}
	for _, x := range set {
		t.Channel(x.Channel).Set(x.Level)
	}
	var list []control.TraceLevel
	for _, n := range t.Names() {
		list = append(list, control.TraceLevel{Channel: n, Level: t.Channel(n).Level()})
	}
	return list, nil
}
