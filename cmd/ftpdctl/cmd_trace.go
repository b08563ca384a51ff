package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
)

const traceLong = `trace shows the trace channels and their levels, or sets some: 0 is off, 20 is
everything. What a channel says goes to the daemon's log, until it is set to 0 or
the daemon ends. Nothing secret is traced at any level.`

func newTrace(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "trace [info | CHANNEL:LEVEL...]",
		Short:   "show or set how much is traced",
		Long:    traceLong,
		Example: "  ftpdctl trace login:5 data:10\n  ftpdctl trace login:0",
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Equal(args, []string{"info"}) {
				args = nil
			}
			var set []control.TraceLevel
			for _, arg := range args {
				l, err := parseTrace(arg)
				if err != nil {
					return err
				}
				set = append(set, l)
			}
			l, err := a.client().Trace(cmd.Context(), set)
			if err != nil {
				return err
			}
			return a.print(control.TraceResult{Channels: l}, func() error {
				a.printf("%-16s %s\n", "CHANNEL", "LEVEL")
				for _, c := range l {
					a.printf("%-16s %d\n", c.Channel, c.Level)
				}
				return nil
			})
		},
	}
}

func parseTrace(s string) (control.TraceLevel, error) {
	name, level, ok := strings.Cut(s, ":")
	n, err := strconv.Atoi(level)
	if !ok || err != nil || name == "" || n < 0 || n > control.MaxTraceLevel {
		return control.TraceLevel{}, wrong("trace %q: not CHANNEL:LEVEL with a level from 0 to %d", s, control.MaxTraceLevel)
	}
	return control.TraceLevel{Channel: name, Level: n}, nil
}
