package main

import (
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
)

// signals are those the daemon reacts to: HUP reloads, TERM and INT stop, USR2
// upgrades in place. SIGPIPE is nothing: every write checks.
type signals struct {
	ch   chan os.Signal
	stop atomic.Bool // a stop has been asked for
}

// catchSignals is the first thing that main does, before the configuration is
// read: a HUP in the middle of an upgrade in place must neither end the daemon
// nor be lost. What comes before there is a loop waits.
func catchSignals() *signals {
	s := &signals{ch: make(chan os.Signal, 64)}
	signal.Ignore(unix.SIGPIPE)
	s.suspend()
	s.resume()
	return s
}

func (s *signals) resume() {
	signal.Notify(s.ch, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGUSR2)
}

// suspend has the kernel ignore HUP and USR2 from now on and over the execution
// of the next image, which reads the configuration in any case and catches
// signals anew. Otherwise they would end it before it can. TERM and INT are
// left as they are.
//
// A signal that is being delivered on another thread meanwhile is treated by
// the runtime as what it found when the signal was caught: the default, which
// is to end, unless it had been ignored before. So catchSignals calls this too.
func (s *signals) suspend() { signal.Ignore(unix.SIGHUP, unix.SIGUSR2) }

// handleSignals turns signals into posts to the loop.
func (m *master) handleSignals() {
	go func() {
		for s := range m.signals.ch {
			if s == unix.SIGTERM || s == unix.SIGINT {
				m.signals.stop.Store(true)
			}
			m.loop.post(func() { m.signaled(s) })
		}
	}()
}

func (m *master) signaled(s os.Signal) {
	switch s {
	case unix.SIGHUP:
		m.reload(nil)
	case unix.SIGTERM:
		m.stop(m.grace(), "SIGTERM")
	case unix.SIGINT:
		m.stop(0, "SIGINT")
	case unix.SIGUSR2:
		m.upgrade(func(err error) {
			if err != nil {
				m.log.Error("upgrade refused", logging.Kind(logging.Upgrade), logging.Error(err))
			}
		})
	}
}
