package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

// Exit statuses of status, as monitoring plugins have them.
const (
	statusOK       = 0 // serving
	statusWarning  = 1 // degraded, starting, stopping, or the last reload failed
	statusCritical = 2 // no daemon
	statusUnknown  = 3 // it could not be found out
)

const statusLong = `status shows how the daemon is: what it listens on, which configuration it
serves, how many sessions there are and whether its helper processes run.

Exit status, for monitoring: 0 serving; 1 degraded (the lines marked "!" say why),
starting or stopping, or the last reload was refused; 2 not running or not
reachable; 3 it could not be found out (access denied, no answer).`

func newStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show how the daemon is; exit status for monitoring",
		Long:  statusLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := a.client()
			c.Timeout = 10 * time.Second
			st, err := c.Status(cmd.Context())
			if err != nil {
				return a.noStatus(err)
			}
			if err := a.print(st, func() error { a.showStatus(&st, time.Now()); return nil }); err != nil {
				return err
			}
			if st.State != control.StateServing || st.Config.ReloadError != "" {
				return &exitStatus{code: statusWarning}
			}
			return nil
		},
	}
}

func (a *app) noStatus(err error) error {
	code, state := statusUnknown, "unknown"
	if errors.Is(err, control.ErrUnreachable) {
		code, state = statusCritical, "unreachable"
	}
	if a.json {
		err2 := a.print(map[string]string{"state": state, "error": err.Error()}, nil)
		return &exitStatus{code: code, err: err2}
	}
	return &exitStatus{code: code, err: err}
}

func (a *app) showStatus(st *control.Status, now time.Time) {
	how := ""
	if st.Rootless {
		how = ", rootless"
	}
	a.printf("sallyport %s %s, pid %d%s, up %s\n", st.Version, st.State, st.PID, how, elapsed(now.Sub(st.Started)))
	for _, r := range st.Reasons {
		a.printf("! %s\n", logging.Escape(r))
	}
	row := func(name, format string, args ...any) { a.printf("  %-10s %s\n", name, fmt.Sprintf(format, args...)) }
	for _, l := range st.Listeners {
		var notes []string
		if l.TLS != "" {
			notes = append(notes, l.TLS+" tls")
		}
		if l.Inherited {
			notes = append(notes, "from systemd")
		}
		if !l.Accepting {
			notes = append(notes, "not accepting")
		}
		note := ""
		if len(notes) > 0 {
			note = " (" + strings.Join(notes, ", ") + ")"
		}
		row("listener", "%s %s%s", l.Label, l.Address, note)
	}
	row("config", "%s, generation %d, loaded %s", st.Config.File, st.Config.Generation, stamp(st.Config.Loaded))
	for _, w := range st.Workers {
		switch {
		case w.PID == 0:
			row(w.Role, "%s", w.State)
		case w.Restarts > 0:
			row(w.Role, "%s, pid %d, %d restarts", w.State, w.PID, w.Restarts)
		default:
			row(w.Role, "%s, pid %d", w.State, w.PID)
		}
	}
	for _, c := range st.Certificates {
		row("tls", "%s", certificateText(&c))
	}
	limit := ""
	if st.Sessions.Max > 0 {
		limit = fmt.Sprintf(" of %d", st.Sessions.Max)
	}
	row("sessions", "%d%s, %d not logged in (%d silent), %d in the pool",
		st.Sessions.Live, limit, st.Sessions.Unauthenticated, st.Sessions.Waiting, st.Sessions.Pool)
	if st.Sessions.Draining > 0 {
		row("", "%d of a former version", st.Sessions.Draining)
	}
	n := st.Counters
	row("so far", "%d connections, %d refused; %d logins, %d failed; %d worker deaths, %d violations",
		n.Connections, n.Refused, n.Logins, n.LoginFailures, n.WorkerDeaths, n.Violations)
	row("", "%s in, %s out; %d upgrades in place", size(n.BytesIn), size(n.BytesOut), st.Upgrades)
	if n.LogDropped > 0 {
		a.printf("! %d log records were lost\n", n.LogDropped)
	}
	row("sandbox", "%s", sandboxText(st))
}

// certificateText tells how long a certificate is good for.
func certificateText(c *control.CertificateStatus) string {
	left := fmt.Sprintf("%d days left", c.Days)
	switch {
	case c.Days < 0:
		left = "EXPIRED"
	case c.Days == 1:
		left = "1 day left"
	}
	self := ""
	if c.SelfSigned {
		self = ", self-signed"
	}
	return fmt.Sprintf("%s: %s, %s (%s)%s", logging.Escape(c.File), logging.Escape(c.Subject), left, c.Expires.Local().Format("2006-01-02"), self)
}

func sandboxText(st *control.Status) string {
	if st.Landlock == 0 {
		return st.Sandbox + ", no landlock"
	}
	return fmt.Sprintf("%s, landlock ABI %d", st.Sandbox, st.Landlock)
}
