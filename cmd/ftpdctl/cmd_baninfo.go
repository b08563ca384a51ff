package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

const banInfoLong = `info lists who is banned. With -v it tells why, until when, by which rule of the
configuration and, for a shared ban, from which server; with -e it lists what counts
towards bans to come, the nearest first.`

func newBanInfo(a *app) *cobra.Command {
	var verbose, events bool
	c := &cobra.Command{
		Use:   "info",
		Short: "list the bans",
		Long:  banInfoLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrong("unsupported parameter: '%s'", logging.Escape(args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.banInfo(cmd.Context(), verbose, events) },
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "with reasons and times")
	c.Flags().BoolVarP(&events, "events", "e", false, "and the counters of events")
	return c
}

// banPages calls f for every page of the list.
func (a *app) banPages(ctx context.Context, events bool, f func(*control.BanInfoResult)) error {
	r := control.BanInfoRequest{Events: events}
	for {
		page, err := a.client().BanInfo(ctx, r)
		if err != nil {
			return err
		}
		f(&page)
		if !page.More || len(page.Bans) == 0 {
			return nil
		}
		r = control.BanInfoRequest{After: &page.Bans[len(page.Bans)-1].BanName}
	}
}

var banHeadings = map[string]string{
	control.BanUser: "Banned Users:", control.BanUserAt: "Banned User@Hosts:", control.BanHost: "Banned Hosts:", control.BanClass: "Banned Classes:",
}

func (a *app) banInfo(ctx context.Context, verbose, events bool) error {
	var first *control.BanInfoResult
	kind, now := "", time.Time{}
	err := a.banPages(ctx, events, func(page *control.BanInfoResult) {
		now = time.Now()
		if first == nil {
			first = page
		} else if a.json {
			first.Bans = append(first.Bans, page.Bans...)
		}
		for i := range page.Bans {
			b := &page.Bans[i]
			if a.json {
				break
			}
			if b.Kind != kind {
				if kind != "" {
					a.printf("\n")
				}
				kind = b.Kind
				a.printf("%s\n", banHeadings[kind])
			}
			a.printf("  %s\n", logging.Escape(b.Name))
			if verbose {
				a.banDetails(b, now, "    ")
			}
		}
	})
	if err != nil {
		return err
	}
	if a.json {
		first.More = false
		return a.print(first, nil)
	}
	if kind == "" {
		a.printf("No bans\n")
	}
	if events {
		a.banCounters(first.Counters, now)
	}
	a.banState(first)
	return nil
}

// when is a moment as the list shows it.
func when(t time.Time) string { return t.Local().Format(time.ANSIC) }

// ahead is how many seconds are left until t, the last one counted whole.
func ahead(t, now time.Time) int64 {
	return max(int64((t.Sub(now)+time.Second-1)/time.Second), 0)
}

func (a *app) banDetails(b *control.BanEntry, now time.Time, in string) {
	reason := logging.Escape(b.Reason)
	switch {
	case b.Origin == "rule":
		reason += " at " + when(b.Created)
	case strings.HasPrefix(b.Reason, "requested by "): // it has the time
	default:
		reason = strings.TrimPrefix(reason+", since "+when(b.Created), ", ")
	}
	a.printf("%sReason: %s\n", in, reason)
	if b.Expires.IsZero() {
		a.printf("%sExpires: never\n", in)
	} else {
		a.printf("%sExpires: %s (in %d seconds)\n", in, when(b.Expires), ahead(b.Expires, now))
	}
	if b.Server != "" {
		a.printf("%s<VirtualHost>: %s\n", in, logging.Escape(b.Server))
	}
	if b.Rule != "" {
		a.printf("%sRule: %s, %s %s", in, logging.Escape(b.Rule), logging.Escape(b.Event), counted(b.Count))
		if b.Times > 1 {
			a.printf(", ban %d in a row", b.Times)
		}
		a.printf("\n")
	}
	if b.Node != "" {
		a.printf("%sFrom: %s\n", in, logging.Escape(b.Node))
	}
	if b.Message != "" {
		a.printf("%sMessage: %s\n", in, logging.Escape(b.Message))
	}
}

func counted(n uint32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (a *app) banCounters(list []control.BanCounter, now time.Time) {
	if len(list) == 0 {
		a.printf("\nNo ban events\n")
		return
	}
	a.printf("\nBan Events:\n")
	for i := range list {
		c := &list[i]
		a.printf("  Event: %s\n  Source: %s\n    Occurrences: %d/%d\n", logging.Escape(c.Event), logging.Escape(c.Source), c.Count, c.Most)
		a.printf("    Entry Expires: %d seconds\n", ahead(c.Expires, now))
		if c.Server != "" {
			a.printf("    <VirtualHost>: %s\n", logging.Escape(c.Server))
		}
		if c.Rule != "" {
			a.printf("    Rule: %s\n", logging.Escape(c.Rule))
		}
	}
}

// banState tells what is out of the ordinary.
func (a *app) banState(r *control.BanInfoResult) {
	var lines []string
	if r.Observe {
		lines = append(lines, "The rules only observe: they ban nobody")
	}
	if r.Most > 0 && r.Total >= r.Most {
		lines = append(lines, fmt.Sprintf("The list is full: %d bans", r.Total))
	}
	for _, s := range r.Stores {
		if !s.Up {
			line := "The store " + logging.Escape(s.Address) + " does not answer"
			if s.Why != "" {
				line += ": " + logging.Escape(s.Why)
			}
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		a.printf("\n%s\n", strings.Join(lines, "\n"))
	}
}

const banExplainLong = `explain tells whether a client would be refused now: which bans hold it, what counts
against it and how far it is from a ban, and whether it is one of those who are never
banned. Without USER it asks what happens when the client connects.`

func newBanExplain(a *app) *cobra.Command {
	var r control.BanExplainRequest
	c := &cobra.Command{
		Use:   "explain ADDRESS [USER]",
		Short: "tell whether a client would be refused, and why",
		Long:  banExplainLong,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return wrong("missing parameters")
			case len(args) > 2:
				return wrong("unsupported parameter: '%s'", logging.Escape(args[2]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				r.User = args[1]
			}
			list, failed := a.resolve(cmd.Context(), control.BanHost, args[:1], "ban: unknown host '%s'")
			for _, t := range list {
				r.Address = t.name
				res, err := a.client().BanExplain(cmd.Context(), r)
				if err != nil {
					return err
				}
				if err := a.print(res, func() error { a.explainBan(&res); return nil }); err != nil {
					return err
				}
			}
			if failed {
				return errIncomplete
			}
			return nil
		},
	}
	c.Flags().StringVar(&r.Class, "class", "", "class of the client (default: that of its address)")
	c.Flags().StringVar(&r.Server, "server", "", "virtual host (default: the default host)")
	return c
}

func (a *app) explainBan(r *control.BanExplainResult) {
	who := logging.Escape(r.Address)
	if r.User != "" {
		who = logging.Escape(r.User) + " from " + who
	}
	of := "of no class"
	if r.Class != "" {
		of = "of class " + logging.Escape(r.Class)
	}
	a.printf("%s, %s, on %s: %s\n", who, of, logging.Escape(r.Server), verdict(r))
	now := time.Now()
	for i := range r.Bans {
		b := &r.Bans[i]
		a.printf("  %s %s is banned\n", b.Kind, logging.Escape(b.Name))
		a.banDetails(b, now, "    ")
	}
	for i := range r.Counters {
		c := &r.Counters[i]
		left := int64(c.Most) - int64(c.Count)
		a.printf("  %s: %d of %d", logging.Escape(c.Event), c.Count, c.Most)
		switch {
		case left <= 1:
			a.printf(", the next one bans")
		default:
			a.printf(", %d more ban", left)
		}
		if !c.Expires.IsZero() {
			a.printf("; forgotten in %d seconds", ahead(c.Expires, now))
		}
		if c.Rule != "" {
			a.printf(" (%s)", logging.Escape(c.Rule))
		}
		a.printf("\n")
	}
	if len(r.Bans)+len(r.Counters) == 0 {
		a.printf("  nothing speaks against it\n")
	}
}

// verdict is the answer in one sentence.
func verdict(r *control.BanExplainResult) string {
	atOnce := false
	for i := range r.Bans {
		atOnce = atOnce || r.Bans[i].Kind == control.BanHost || r.Bans[i].Kind == control.BanClass
	}
	s := "would not be refused"
	switch {
	case !r.Engine && len(r.Bans) > 0:
		s = "would not be refused, since the ban engine is off there"
	case !r.Engine:
		s = "would not be refused: the ban engine is off there"
	case r.Refused && atOnce:
		s = "is refused when it connects"
	case r.Refused:
		s = "is refused when it logs in"
	}
	if r.Spared {
		s += "; it is never banned by what it does"
	}
	if r.Observe {
		s += "; the rules only observe"
	}
	return s
}
