package main

import (
	"fmt"
	"os"
	"time"

	"sallyport/internal/logging"
	"sallyport/internal/unit"
	"sallyport/shm"
)

// manager is what master has to do with systemd; without one every call does
// nothing.
type manager struct {
	n        *unit.Notifier
	every    time.Duration // watchdog; 0: none
	watchdog timer
	status   timer
	last     string // status line sent last
}

const statusEvery = 2 * time.Second

// startNotifying opens the channel to the service manager. The watchdog is fed
// by a timer of the loop and by nothing else: a loop that hangs starves it.
func (m *master) startNotifying() error {
	n, err := unit.NewNotifier()
	if err != nil {
		return err
	}
	every, err := unit.WatchdogInterval()
	if err != nil {
		return err
	}
	m.systemd.n, m.systemd.every = n, every
	m.systemd.watchdog.fn = m.feed
	m.systemd.status.fn = m.tellStatus
	if n == nil {
		return nil
	}
	if every > 0 {
		m.feed()
	}
	m.loop.after(&m.systemd.status, statusEvery)
	return nil
}

func (m *master) feed() {
	m.notified(m.systemd.n.Watchdog())
	m.loop.after(&m.systemd.watchdog, m.systemd.every)
}

func (m *master) tellStatus() {
	if s := m.statusLine(); s != m.systemd.last {
		m.systemd.last = s
		m.notified(m.systemd.n.Status(s))
	}
	m.loop.after(&m.systemd.status, statusEvery)
}

// statusLine is what `systemctl status` shows.
func (m *master) statusLine() string {
	if m.stopping {
		return fmt.Sprintf("stopping, %d connections left", len(m.clients))
	}
	return fmt.Sprintf("%d connections, %d of them not logged in; %d accepted, %d refused, %d logins since the start",
		m.census.live, m.census.unauth, m.board.Get(shm.Accepted), m.refused(), m.board.Get(shm.LoginsOK))
}

func (m *master) tellReady() {
	if m.stopping || !m.begun {
		return
	}
	m.notified(m.systemd.n.Ready(os.Getpid(), m.statusLine()))
}

// notified logs a notification that did not arrive; the service goes on.
func (m *master) notified(err error) {
	if err != nil {
		m.log.Warn("service manager", logging.Error(err))
	}
}
