package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/version"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the versions of ftpdctl and of the running daemon",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := a.client()
			c.Timeout = 5 * time.Second
			running, err := c.Version(cmd.Context())
			if err != nil && !errors.Is(err, control.ErrUnreachable) {
				return err
			}
			v := map[string]string{"ftpdctl": version.Version}
			if err == nil {
				v["daemon"] = running
			}
			return a.print(v, func() error {
				a.printf("ftpdctl %s\n", version.Version)
				switch {
				case err == nil:
					a.printf("daemon  %s\n", running)
				case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
					a.printf("daemon  not running\n")
				default: // it may well run, and its socket be closed to us
					a.printf("daemon  unknown: %v\n", err)
				}
				return nil
			})
		},
	}
}
