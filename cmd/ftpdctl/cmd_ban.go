package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

const banLong = `ban refuses clients: all logins of a user, clients at an address or prefix, those of
a class, or one user from one address. It holds until "permit" lifts it or --for is
over, and over restarts. Sessions that fit are ended. See docs/BANS.md.

Exit status 5: the ban engine is on nowhere; 4: there is no such virtual host;
1: a name could not be banned.`

func newBan(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "ban",
		Short: "refuse users, hosts and classes; show, explain and move bans",
		Long:  banLong,
		Example: `  ftpdctl ban host 192.0.2.7 2001:db8::/48 --for 7d --reason "scanner"
  ftpdctl ban user@host dave@192.0.2.7
  ftpdctl ban info -v
  ftpdctl ban explain 192.0.2.7 dave`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return unknownKind(args) },
	}
	for _, kind := range control.BanKinds() {
		c.AddCommand(newBanKind(a, kind))
	}
	c.AddCommand(newBanInfo(a), newBanExplain(a), newBanImport(a), newBanExport(a))
	strict(c)
	return c
}

const permitLong = `permit lifts bans, whoever made them; '*' lifts all of a kind. For an address it
lifts also the prefix that rules ban for it (IPv6: its /64), and tells of wider bans
that hold it all the same.

Exit status 6: nothing of the kind was banned.`

func newPermit(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "permit",
		Short: "lift bans",
		Long:  permitLong,
		Example: `  ftpdctl permit host 192.0.2.7
  ftpdctl permit user '*'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return unknownKind(args) },
	}
	for _, kind := range control.BanKinds() {
		c.AddCommand(newPermitKind(a, kind))
	}
	strict(c)
	return c
}

// strict gives the commands of bans the exit statuses of the daemon for
// mistakes on the command line.
func strict(c *cobra.Command) {
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrong("%w", err) })
}

func unknownKind(args []string) error {
	if len(args) == 0 {
		return wrong("missing parameters")
	}
	return &exitStatus{int(control.CodeUnsupported), fmt.Errorf("unknown ban action requested: '%s'", logging.Escape(args[0]))}
}

// wrong is a mistake on the command line.
func wrong(format string, args ...any) error {
	return &exitStatus{int(control.CodeParameters), fmt.Errorf(format, args...)}
}

func someNames(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return wrong("missing parameters")
	}
	return nil
}

// plurals are the kinds as "no X are banned" has them.
var plurals = map[string]string{
	control.BanUser: "users", control.BanUserAt: "user@hosts", control.BanHost: "hosts", control.BanClass: "classes",
}

var banWhat = map[string]string{
	control.BanUser: "all logins of users", control.BanUserAt: "users from one address each", control.BanHost: "addresses, prefixes or names of machines",
	control.BanClass: "clients of classes",
}

func newBanKind(a *app, kind string) *cobra.Command {
	r := control.BanRequest{Kind: kind}
	length := ""
	c := &cobra.Command{
		Use:   kind + " NAME...",
		Short: "ban " + banWhat[kind],
		Args:  someNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if r.Seconds, err = banTime(length); err != nil {
				return wrong("--for %s: %w", logging.Quote(length), err)
			}
			return a.ban(cmd.Context(), r, args)
		},
	}
	c.Flags().StringVar(&r.Server, "server", "", "virtual host it holds for (default: all)")
	c.Flags().StringVar(&length, "for", "", "how long: 90s, 10m, 1h30m, 7d (default: until it is lifted)")
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for those who read the list (default: who asked)")
	if kind == control.BanHost {
		c.Flags().BoolVar(&r.Wide, "wide", false, "allow prefixes shorter than /8 (IPv6: /16)")
	}
	return c
}

// target is a name to ban or permit: what was typed, and what the daemon is
// asked for.
type target struct{ typed, name string }

// String is the name for people.
func (t target) String() string {
	if t.typed == t.name {
		return logging.Escape(t.typed)
	}
	return fmt.Sprintf("%s [%s]", logging.Escape(t.typed), t.name)
}

// resolve turns names of machines into all of their addresses. Those that have
// none are told with text, a format with %s.
func (a *app) resolve(ctx context.Context, kind string, names []string, text string) (list []target, failed bool) {
	for _, n := range names {
		user, host := "", n
		if kind == control.BanUserAt {
			i := strings.LastIndexByte(n, '@')
			user, host = n[:i+1], n[i+1:]
		}
		if kind == control.BanUser || kind == control.BanClass || host == "*" || numeric(host) {
			list = append(list, target{n, n})
			continue
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil || len(found) == 0 || kind == control.BanUserAt && user == "" {
			fmt.Fprintf(a.err, text+"\n", logging.Escape(n))
			failed = true
			continue
		}
		seen := map[netip.Addr]bool{}
		for _, ip := range found {
			if ip = ip.Unmap().WithZone(""); !seen[ip] {
				seen[ip] = true
				list = append(list, target{n, user + ip.String()})
			}
		}
	}
	return list, failed
}

// numeric tells whether a host is written as an address or prefix, right or
// wrong: the daemon says what is wrong with it.
func numeric(host string) bool {
	if _, err := control.ParseHost(host); err == nil {
		return true
	}
	return strings.ContainsAny(host, "/:") || strings.Trim(host, "0123456789.") == ""
}

// batches are the targets in requests that the daemon takes.
func batches(list []target, f func(part []target, names []string) error) error {
	for len(list) > 0 {
		part := list[:min(len(list), control.MaxNames)]
		list = list[len(part):]
		names := make([]string, len(part))
		for i, t := range part {
			names[i] = t.name
		}
		if err := f(part, names); err != nil {
			return err
		}
	}
	return nil
}

var errIncomplete = &exitStatus{code: int(control.CodeFailed)}

func (a *app) ban(ctx context.Context, r control.BanRequest, names []string) error {
	list, failed := a.resolve(ctx, r.Kind, names, "ban: unknown host '%s'")
	all := control.BanResult{Names: []control.BanOutcome{}}
	err := batches(list, func(part []target, names []string) error {
		r.Names = names
		res, err := a.client().Ban(ctx, r)
		if err != nil {
			return err
		}
		if len(res.Names) != len(part) {
			return errors.New("the daemon's answer does not fit what it was asked")
		}
		all.Names = append(all.Names, res.Names...)
		for i := range res.Names {
			failed = failed || res.Names[i].Error != ""
			if !a.json {
				a.banned(r.Kind, part[i], &res.Names[i])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a.json {
		if err := a.print(all, nil); err != nil {
			return err
		}
	}
	if failed {
		return errIncomplete
	}
	return nil
}

func (a *app) banned(kind string, t target, o *control.BanOutcome) {
	switch {
	case o.Full:
		a.printf("maximum list size reached, unable to ban %s '%s'\n", kind, t)
	case o.Error != "":
		a.printf("unable to ban %s '%s': %s\n", kind, t, logging.Escape(o.Error))
	case o.Already:
		a.printf("%s %s already banned\n", kind, t)
	default:
		a.printf("%s %s banned\n", kind, t)
	}
	switch o.Sessions {
	case 0:
	case 1:
		a.printf("disconnected 1 client from %s '%s'\n", kind, t)
	default:
		a.printf("disconnected %d clients from %s '%s'\n", o.Sessions, kind, t)
	}
}

func newPermitKind(a *app, kind string) *cobra.Command {
	r := control.PermitRequest{Kind: kind}
	c := &cobra.Command{
		Use:   kind + " NAME...|'*'",
		Short: "lift bans of " + plurals[kind],
		Args: func(cmd *cobra.Command, args []string) error {
			for _, n := range args {
				if n == "*" && len(args) > 1 {
					return wrong("'*' is all of them: it stands alone")
				}
			}
			return someNames(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.permit(cmd.Context(), r, args) },
	}
	c.Flags().StringVar(&r.Server, "server", "", "virtual host whose bans are meant (default: those of all)")
	return c
}

func (a *app) permit(ctx context.Context, r control.PermitRequest, names []string) error {
	list, failed := a.resolve(ctx, r.Kind, names, "unable to resolve '%s' to an IP address")
	all := control.PermitResult{Empty: len(list) > 0}
	err := batches(list, func(part []target, names []string) error {
		r.Names = names
		res, err := a.client().Permit(ctx, r)
		if err != nil {
			return err
		}
		all.Names = append(all.Names, res.Names...)
		all.Empty = all.Empty && res.Empty
		if a.json || res.Empty {
			return nil
		}
		if len(res.Names) != len(part) {
			return errors.New("the daemon's answer does not fit what it was asked")
		}
		for i := range res.Names {
			a.permitted(&r, part[i], &res.Names[i])
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case a.json:
		if err := a.print(all, nil); err != nil {
			return err
		}
	case all.Empty:
		a.printf("permit request unnecessary\nno %s are banned\n", plurals[r.Kind])
	}
	switch {
	case failed:
		return errIncomplete
	case all.Empty:
		return &exitStatus{code: int(control.CodeNothing)}
	}
	return nil
}

func (a *app) permitted(r *control.PermitRequest, t target, o *control.PermitOutcome) {
	on := ""
	if r.Server != "" {
		on = " on " + logging.Escape(r.Server)
	}
	switch {
	case t.name == "*":
		a.printf("all %s permitted%s\n", plurals[r.Kind], on)
	case o.Lifted == 0:
		a.printf("%s '%s' not banned%s\n", r.Kind, t, on)
	default:
		a.printf("%s '%s' permitted\n", r.Kind, t)
	}
	for _, p := range o.Still {
		a.printf("%s '%s' is still banned by %s\n", r.Kind, t, logging.Escape(p))
	}
}
