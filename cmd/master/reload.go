package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/internal/unit"
	"sallyport/ipc"
)

// reloadDone gets what came of a reload, on the loop.
type reloadDone func(control.ReloadResult, error)

// reloads is the state of reloading: one at a time.
type reloads struct {
	running bool
	again   bool // a HUP came meanwhile
	loaded  time.Time
	err     string // of the last one, if it failed
	late    timer
}

// reloadAnswer bounds the wait for authd's word on its new view.
const reloadAnswer = 5 * time.Second

// reload reads the configuration again and swaps it in, or changes nothing.
// The file is read off the loop. done may be nil.
func (m *master) reload(done reloadDone) {
	if done == nil {
		done = func(control.ReloadResult, error) {}
	}
	switch {
	case m.stopping:
		done(control.ReloadResult{}, fmt.Errorf("%w: the service is stopping", control.ErrRefused))
		return
	case m.upgrades.running:
		done(control.ReloadResult{}, fmt.Errorf("%w: an upgrade is under way and reads the configuration, too", control.ErrRefused))
		return
	case m.reloads.running:
		m.reloads.again = true
		done(control.ReloadResult{}, fmt.Errorf("%w: a reload is under way", control.ErrRefused))
		return
	}
	m.reloads.running = true
	m.notified(m.systemd.n.Reloading("reading the configuration"))
	path, dir, old := m.opt.config, m.who.libexecPath, m.gen.policy
	go func() {
		p, diags := config.Load(path, config.DetectFacts(dir))
		n := &next{policy: p}
		if p != nil {
			n.changes = config.Diff(old, p)
		}
		m.loop.post(func() { m.reloadRead(n, diags, done) })
	}()
}

// next is a configuration on its way into force.
type next struct {
	policy    *policy.Policy
	changes   []string
	listeners []*listener
	logs      *logging.Opened
}

// reloadRead takes what was read into force, once everything that can fail has
// been done and authd has said that it can serve it.
func (m *master) reloadRead(n *next, diags config.Diagnostics, done reloadDone) {
	res := control.ReloadResult{Generation: int(m.gen.number)}
	for _, d := range diags {
		res.Diagnostics = append(res.Diagnostics, d.String())
		m.log.Warn(d.Headline())
	}
	err := diags.Err()
	if err == nil {
		err = m.prepare(n)
	}
	if err != nil {
		m.reloadEnd(res, err, done)
		return
	}
	m.ensureCertificates(n.policy, func() { m.propose(n, res, done) })
}

// propose asks authd about a configuration and swaps it in where authd can
// serve it.
func (m *master) propose(n *next, res control.ReloadResult, done reloadDone) {
	m.reloads.late.fn = func() { m.authdAnswers(nil, errors.New("authd has not answered yet")) }
	m.loop.after(&m.reloads.late, reloadAnswer)
	m.proposeAuthd(n.policy, func(r *ipc.AuthdReady, none error) {
		m.loop.timers.stop(&m.reloads.late)
		var err error
		switch {
		case none != nil: // it gets the view when it can
			res.Diagnostics = append(res.Diagnostics, none.Error())
		case !r.OK:
			err = fmt.Errorf("authd cannot serve this configuration: %s", strings.Join(r.Errors, "; "))
		default:
			for _, e := range r.Errors {
				res.Diagnostics = append(res.Diagnostics, "authd: "+e)
			}
		}
		if m.stopping && err == nil {
			err = fmt.Errorf("%w: the service is stopping", control.ErrRefused)
		}
		if err != nil {
			m.discard(n)
			m.reloadEnd(res, err, done)
			return
		}
		m.swap(n)
		res.Generation, res.Changed = int(m.gen.number), len(n.changes) > 0
		srv := m.control
		go func() { // names of users and groups are looked up
			err := srv.Configure(n.policy.Global.Control)
			m.loop.post(func() {
				if err != nil {
					m.log.Error("control rules", logging.Error(err))
					res.Diagnostics = append(res.Diagnostics, err.Error())
				}
				m.reloadEnd(res, nil, done)
			})
		}()
	})
}

// prepare does what can fail, so that an error leaves everything as it was.
func (m *master) prepare(n *next) error {
	if m.stopping {
		return fmt.Errorf("%w: the service is stopping", control.ErrRefused)
	}
	if err := fixed(m.gen.policy, n.policy); err != nil {
		return err
	}
	if err := sealable(n.policy); err != nil {
		return err
	}
	if _, err := unit.ByLabel(m.inherited, labels(n.policy)); err != nil {
		return err
	}
	logs, err := logging.OpenAll(logPaths(n.policy), m.logs.files)
	if err != nil {
		return err
	}
	if n.listeners, err = openListeners(n.policy, m.inherited, m.listeners); err != nil {
		logs.Close()
		return err
	}
	n.logs = logs
	return nil
}

// discard closes what prepare has opened.
func (m *master) discard(n *next) {
	n.logs.Close()
	for _, l := range n.listeners {
		if !l.inherited && !contains(m.listeners, l) {
			unix.Close(l.fd)
		}
	}
}

// maxChanges bounds the lines of the log about one reload.
const maxChanges = 200

// swap puts a prepared configuration in force.
func (m *master) swap(n *next) {
	m.unwatchListeners()
	old := m.listeners
	m.listeners = n.listeners
	for _, l := range old {
		if !l.inherited && !contains(m.listeners, l) {
			m.loop.closeFD(&l.fd)
		}
	}
	m.install(newGeneration(m.gen.number+1, n.policy))
	m.logs.take(n.logs, n.policy)
	m.configureBans(n.policy)
	m.configureNetd(n.policy)
	m.reloads.loaded = time.Now()
	if err := m.watchListeners(); err != nil {
		m.log.Error("listeners", logging.Error(err))
	}
	m.pool.replace(m)
	for i, change := range n.changes {
		if i == maxChanges {
			m.log.Info("configuration changed", "change", fmt.Sprintf("and %d more", len(n.changes)-i))
			break
		}
		m.log.Info("configuration changed", "change", change)
	}
}

// fixed refuses changes that only a restart can make.
func fixed(from, to *policy.Policy) error {
	var bad []string
	old, now := &from.Global, &to.Global
	for _, k := range []struct {
		name    string
		was, is string
	}{
		{"instance", old.Instance, now.Instance},
		{"run_dir", old.RunDir, now.RunDir},
		{"state_dir", old.StateDir, now.StateDir},
		{"user", old.User, now.User},
		{"control.engine", fmt.Sprint(old.Control.Engine), fmt.Sprint(now.Control.Engine)},
		{"control.socket", old.Control.Socket, now.Control.Socket},
		{"control.group", old.Control.Group, now.Control.Group},
		{"delay.table", snapshotPath(from), snapshotPath(to)},
	} {
		if k.was != k.is {
			bad = append(bad, fmt.Sprintf("%s (%q, now %q)", k.name, k.was, k.is))
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("changes at a restart only: %s", strings.Join(bad, ", "))
	}
	return nil
}

func contains(ls []*listener, l *listener) bool {
	for _, x := range ls {
		if x.fd == l.fd {
			return true
		}
	}
	return false
}

// reloadEnd tells everybody how it went.
func (m *master) reloadEnd(res control.ReloadResult, err error, done reloadDone) {
	m.reloads.running = false
	if err != nil {
		m.logs.reopen(m)
		m.reloads.err = err.Error()
		first, _, _ := strings.Cut(err.Error(), "\n")
		m.log.Error("configuration refused, the old one stays", logging.Kind(logging.ReloadFailed), logging.KeyError, first)
	} else {
		m.reloads.err = ""
		m.log.Info("configuration reloaded", logging.Kind(logging.ReloadOK), "generation", res.Generation, "changed", res.Changed)
	}
	m.tellReady()
	done(res, err)
	if m.reloads.again {
		m.reloads.again = false
		m.reload(nil)
	}
}
