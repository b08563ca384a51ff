package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
)

const reloadLong = `reload has the daemon read its configuration file again and waits for the result.
The new configuration holds for new sessions; live ones keep theirs. A file with
errors changes nothing: the errors are printed and the exit status is 1.`

func newReload(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "read the configuration again, or say why not",
		Long:  reloadLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.client().Reload(cmd.Context())
			for _, d := range r.Diagnostics {
				fmt.Fprintln(a.err, d)
			}
			if err != nil {
				return err
			}
			return a.print(r, func() error {
				if r.Changed {
					a.printf("configuration reloaded, generation %d\n", r.Generation)
				} else {
					a.printf("configuration reloaded, nothing has changed (generation %d)\n", r.Generation)
				}
				return nil
			})
		},
	}
}

const shutdownLong = `shutdown ends the daemon: it accepts nothing more, sends every session a 421 and
leaves. With "graceful", transfers in hand may finish first, for SECONDS (default:
30). The command returns as soon as the stop has begun.

Under systemd use "systemctl stop sallyport-ftp.socket sallyport.service" instead:
as long as the socket unit is active, the next client starts the daemon again.`

func newShutdown(a *app) *cobra.Command {
	return &cobra.Command{
		Use:       "shutdown [graceful [SECONDS]]",
		Short:     "end the daemon, at once or when transfers are done",
		Long:      shutdownLong,
		Args:      cobra.MaximumNArgs(2),
		ValidArgs: []cobra.Completion{"graceful"},
		RunE: func(cmd *cobra.Command, args []string) error {
			grace := time.Duration(0)
			if len(args) > 0 {
				if args[0] != "graceful" {
					return wrong("shutdown %q: only \"graceful\" is known", args[0])
				}
				grace = 30 * time.Second
			}
			if len(args) > 1 {
				n, err := strconv.Atoi(args[1])
				if err != nil || n < 0 || n > control.MaxGrace {
					return wrong("shutdown graceful %q: not a number of seconds up to %d", args[1], control.MaxGrace)
				}
				grace = time.Duration(n) * time.Second
			}
			if err := a.client().Shutdown(cmd.Context(), grace); err != nil {
				return err
			}
			return a.print(map[string]any{"stopping": true, "grace_seconds": int(grace / time.Second)}, func() error {
				a.printf("shutting down\n")
				return nil
			})
		},
	}
}

const upgradeLong = `upgrade has the daemon execute the installed binary in place of itself: listeners,
sessions and transfers go on, no client is refused. It waits until the new version
serves. Packages do this when they are upgraded; sessions that had begun before keep
their old processes until they end.`

func newUpgrade(a *app) *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "upgrade",
		Short: "execute the installed version in place, sessions go on",
		Long:  upgradeLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := a.client()
			before, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.Upgrade(cmd.Context()); err != nil {
				return err
			}
			after, err := upgraded(cmd.Context(), c, before.Upgrades, wait)
			if err != nil {
				return err
			}
			res := map[string]any{"from": before.Version, "to": after.Version, "pid": after.PID, "sessions": after.Sessions.Live}
			return a.print(res, func() error {
				a.printf("upgraded from %s to %s in place, %d sessions go on\n", before.Version, after.Version, after.Sessions.Live)
				return nil
			})
		},
	}
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long the new version may take to serve")
	return c
}

// upgraded waits until the daemon has executed itself once more than count and
// serves.
func upgraded(ctx context.Context, c *control.Client, count int, wait time.Duration) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last error
	for {
		st, err := c.Status(ctx)
		switch {
		case err == nil && st.Upgrades > count && st.State != control.StateStarting:
			return st, nil
		case err == nil:
			last = errors.New("the former version still serves")
		default:
			last = err
		}
		select {
		case <-ctx.Done():
			return st, fmt.Errorf("upgrade: not done within %s: %w", wait, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
