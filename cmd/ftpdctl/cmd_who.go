package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

const whoLong = `who lists the live sessions, oldest first: how long each is connected, what it does
and for how long, and for a download of known size how far it is. An anonymous session
shows what its client gave as its address in the place of a password. With --verbose each
session has a second line: rate, protocol (ftps: over TLS), addresses, virtual host, class
and directory.

What a session does, and that it speaks TLS after AUTH, is told by its own process;
addresses, users and times are the daemon's.`

func newWho(a *app) *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "who",
		Short: "list the sessions",
		Long:  whoLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := a.client().Who(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(control.WhoResult{Sessions: l}, func() error { return a.showWho(l, verbose, time.Now()) })
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "a second line for each session")
	return c
}

func (a *app) showWho(l []control.SessionInfo, verbose bool, now time.Time) error {
	if len(l) == 0 {
		a.printf("no users connected\n")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tUSER\tCLIENT\tCONNECTED\tIDLE\tDONE\tDOING")
	for i := range l {
		s := &l[i]
		user, idle, done := s.User, "", ""
		switch {
		case user == "":
			user = "(none)"
		case s.Anonymous && s.Email != "":
			user += " (" + s.Email + ")"
		}
		if s.Activity == control.ActivityIdle || s.Activity == control.ActivityWaiting {
			idle = elapsed(now.Sub(s.Since))
		}
		if t := s.Transfer; t != nil && s.Activity == control.ActivityDownload {
			done = "n/a"
			if t.Size > 0 {
				done = fmt.Sprintf("%d%%", min(t.Bytes/max(t.Size/100, 1), 100))
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, logging.Escape(user), addr(s.Client),
			elapsed(now.Sub(s.Connected)), idle, done, doing(s))
		if verbose {
			fmt.Fprintf(w, "\t%s\n", strings.Join(details(s), ", "))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.showClasses(l)
	return nil
}

// showClasses counts sessions by class, as ftpcount does.
func (a *app) showClasses(l []control.SessionInfo) {
	count := map[string]int{}
	for i := range l {
		count[l[i].Class]++
	}
	var names []string
	for n := range count {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		label := "class " + logging.Escape(n)
		if n == "" {
			label = "no class"
		}
		users := "users"
		if count[n] == 1 {
			users = "user"
		}
		a.printf("%-30s %d %s\n", label, count[n], users)
	}
}

// addr is the address without the port.
func addr(s string) string {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().String()
	}
	return logging.Escape(s)
}

func doing(s *control.SessionInfo) string {
	switch s.Activity {
	case control.ActivityWaiting, control.ActivityAuthenticating:
		return "(" + s.Activity + ")"
	case control.ActivityIdle:
		return "idle"
	}
	return logging.Escape(strings.TrimSpace(s.Command + " " + s.Argument))
}

func details(s *control.SessionInfo) []string {
	var d []string
	if t := s.Transfer; t != nil {
		d = append(d, size(t.Bytes), size(t.Rate)+"/s")
	}
	protocol := s.Protocol
	if s.TLS && protocol == "ftp" {
		protocol = "ftps"
	}
	d = append(d, protocol, s.Client+" to "+s.Local, "host "+logging.Escape(s.Host))
	if s.Proxy != "" {
		d = append(d, "by proxy "+s.Proxy)
	}
	if s.Class != "" {
		d = append(d, "class "+logging.Escape(s.Class))
	}
	if s.Directory != "" {
		d = append(d, "in "+logging.Escape(s.Directory))
	}
	if s.PID != 0 {
		d = append(d, fmt.Sprintf("pid %d", s.PID))
	}
	if s.FilesPID != 0 {
		d = append(d, fmt.Sprintf("files %d (uid %d)", s.FilesPID, s.UID))
	}
	return d
}
