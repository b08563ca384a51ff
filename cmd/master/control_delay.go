package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/control"
	"sallyport/internal/delay"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// DelayInfo implements control.Backend. The table is read here, off the loop: it
// is in shared memory, and the policy does not change.
func (b backend) DelayInfo(ctx context.Context) (control.DelayResult, error) {
	type source struct {
		p *policy.Policy
		d *shm.DelayObject
		r control.DelayResult
	}
	s, err := ask(ctx, b.m, func(done func(source, error)) {
		done(source{b.m.gen.policy, b.m.delays.object, control.DelayResult{Path: b.m.delays.path}}, nil)
	})
	if err != nil {
		return s.r, err
	}
	rows, unknown := s.d.Rows()
	s.r.Unknown, s.r.Rows = unknown, []control.DelayRow{}
	byKey := map[shm.DelayKey]*shm.DelayRow{}
	for i := range rows {
		byKey[rows[i].Key] = &rows[i]
	}
	seen := map[string]bool{}
	for i := range s.p.Hosts {
		h := &s.p.Hosts[i]
		for class, a := range authHosts(h) {
			if seen[a.Name] {
				continue
			}
			seen[a.Name] = true
			for _, protocol := range []string{"ftp", "ftps", "sftp"} {
				for _, step := range []delay.Step{delay.StepPass, delay.StepStart} {
					if r := byKey[shm.NewDelayKey(a.Name, protocol, step.String())]; r != nil {
						x := delayRow(r)
						x.Host, x.Class, x.Protocol, x.Step = h.Name, class, protocol, step.String()
						x.Engine, x.Policy = a.Delay.Engine, a.Delay.Policy
						s.r.Rows = append(s.r.Rows, x)
					}
				}
			}
		}
	}
	return s.r, nil
}

// authHosts yields how a host authenticates, by class; "" comes first.
func authHosts(h *policy.Host) func(func(string, *policy.AuthHost) bool) {
	return func(yield func(string, *policy.AuthHost) bool) {
		if !yield("", &h.Base.Auth) {
			return
		}
		for i := range h.ByClass {
			if !yield(h.ByClass[i].Class, &h.ByClass[i].Settings.Auth) {
				return
			}
		}
	}
}

func delayRow(r *shm.DelayRow) control.DelayRow {
	x := control.DelayRow{Deadline: r.Deadline, Floor: r.Floor, Count: r.Count}
	for i := range r.Count {
		at := ((r.Next-1-i)%shm.DelaySamples + shm.DelaySamples) % shm.DelaySamples
		x.Samples = append(x.Samples, r.Ring[at])
	}
	if r.Count == 0 {
		return x
	}
	s := slices.Sorted(slices.Values(x.Samples))
	q := func(percent int) int64 { return s[(len(s)-1)*percent/100] }
	x.P50, x.P80, x.P95, x.P99, x.Max = q(50), q(80), q(95), q(99), s[len(s)-1]
	return x
}

// DelayReset implements control.Backend.
func (b backend) DelayReset(ctx context.Context, r control.DelayResetRequest) (control.DelayResetResult, error) {
	return ask(ctx, b.m, func(done func(control.DelayResetResult, error)) {
		m := b.m
		if r.Host != "" && !slices.ContainsFunc(m.gen.policy.Hosts, func(h policy.Host) bool { return h.Name == r.Host }) {
			done(control.DelayResetResult{}, fmt.Errorf("%w: virtual host %s", control.ErrNotFound, logging.Quote(r.Host)))
			return
		}
		m.askDelay(func(id uint32) any { return &ipc.DelayReset{ID: id, Host: r.Host} }, func(v any, err error) {
			var res control.DelayResetResult
			if c, ok := v.(*ipc.DelayCleared); ok {
				res.Rows = int(c.Rows)
			}
			done(res, err)
		})
	})
}

// DelayExplain implements control.Backend.
func (b backend) DelayExplain(ctx context.Context, r control.DelayExplainRequest) (control.DelayExplainResult, error) {
	return ask(ctx, b.m, func(done func(control.DelayExplainResult, error)) {
		m := b.m
		hosts := m.gen.policy.Hosts
		at := 0
		if r.Host != "" {
			at = slices.IndexFunc(hosts, func(h policy.Host) bool { return h.Name == r.Host })
		}
		if at < 0 {
			done(control.DelayExplainResult{}, fmt.Errorf("%w: virtual host %s", control.ErrNotFound, logging.Quote(r.Host)))
			return
		}
		auth := hosts[at].For(r.Class).Auth
		protocol := r.Protocol
		if protocol == "" {
			protocol = "ftp"
		}
		q := func(id uint32) any {
			return &ipc.DelayExplain{ID: id, Host: auth.Name, Protocol: protocol, User: r.User}
		}
		m.askDelay(q, func(v any, err error) {
			var res control.DelayExplainResult
			e, ok := v.(*ipc.DelayExplained)
			if err == nil && ok && !e.Known {
				err = fmt.Errorf("%w: authd does not serve host %s yet", control.ErrRefused, logging.Quote(auth.Name))
			}
			if ok {
				res.Lines = e.Lines
			}
			if err == nil && strings.HasPrefix(auth.Name, hosts[at].Name+"/") {
				res.Lines = append([]string{"class " + logging.Escape(r.Class) + " has settings of its own"}, res.Lines...)
			}
			done(res, err)
		})
	})
}
