package main

import (
	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

const kickLong = `kick ends sessions by user name, client address or prefix, class, or session id as
"who" shows it. Each is sent a 421 reply and ended. A client may come back: a kick is
no ban.

Exit status 4: no session fitted any of the names.`

func newKick(a *app) *cobra.Command {
	var r control.KickRequest
	c := &cobra.Command{
		Use:   "kick user|host|class|session NAME...",
		Short: "end sessions",
		Long:  kickLong,
		Example: `  ftpdctl kick user dave
  ftpdctl kick host 192.0.2.0/24 --text "maintenance, come back at eight"
  ftpdctl kick session 17`,
		Args:      cobra.MinimumNArgs(2),
		ValidArgs: []cobra.Completion{control.KickUser, control.KickHost, control.KickClass, control.KickSession},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.By, r.Names = args[0], args[1:]
			res, err := a.client().Kick(cmd.Context(), r)
			if err != nil {
				return err
			}
			total := 0
			for _, k := range res.Kicked {
				total += k.Sessions
			}
			err = a.print(res, func() error {
				for _, k := range res.Kicked {
					switch name := logging.Escape(k.Name); k.Sessions {
					case 0:
						a.printf("%s '%s' not connected\n", r.By, name)
					case 1:
						a.printf("kicked %s '%s' (1 session)\n", r.By, name)
					default:
						a.printf("kicked %s '%s' (%d sessions)\n", r.By, name, k.Sessions)
					}
				}
				return nil
			})
			if err == nil && total == 0 {
				return &exitStatus{code: int(control.CodeNotFound)}
			}
			return err
		},
	}
	c.Flags().IntVarP(&r.Max, "max", "n", 0, "end at most so many sessions for each name, oldest first")
	c.Flags().StringVar(&r.Text, "text", "", "words for the client")
	return c
}
