package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

const delayLong = `delay shows and resets the DelayTable: how long logins take and when their answers
leave, so that the time tells nothing about an account. See TIMING.md.`

func newDelay(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "delay",
		Short: "show, explain and reset the delays of logins",
		Long:  delayLong,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return missing(": info, explain or reset")
		},
	}
	c.AddCommand(newDelayInfo(a), newDelayExplain(a), newDelayReset(a))
	return c
}

const delayInfoLong = `info lists the rows of the DelayTable: one for the work of the login's sources
(PASS) and one for what comes behind a right password (start), for each host, class
and protocol that somebody has logged in to. DEADLINE is when an answer leaves,
counted from the PASS command; 0 to 5 ms of chance are added.`

func newDelayInfo(a *app) *cobra.Command {
	var plot bool
	c := &cobra.Command{
		Use:   "info",
		Short: "list the rows: samples, quantiles, deadlines",
		Long:  delayInfoLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.client().DelayInfo(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(r, func() error { return a.showDelays(&r, plot) })
		},
	}
	c.Flags().BoolVar(&plot, "plot", false, "draw a histogram of each row's samples")
	return c
}

func (a *app) showDelays(r *control.DelayResult, plot bool) error {
	if len(r.Rows) == 0 {
		a.printf("no login has been timed\n")
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	if len(r.Rows) > 0 && !plot {
		fmt.Fprintln(w, "HOST\tPROTOCOL\tSTEP\tSAMPLES\tHALF\t80%\t95%\t99%\tLONGEST\tDEADLINE\tPOLICY")
	}
	for i := range r.Rows {
		x := &r.Rows[i]
		if plot {
			a.plotDelay(x)
			continue
		}
		deadline := ""
		if x.Step == "PASS" {
			deadline = milli(x.Deadline)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", delayHost(x), x.Protocol, x.Step, x.Count,
			milli(x.P50), milli(x.P80), milli(x.P95), milli(x.P99), milli(x.Max), deadline, delayPolicy(x))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Unknown > 0 {
		a.printf("%d rows cannot be read just now\n", r.Unknown)
	}
	if r.Path == "" {
		a.printf("no snapshot is kept over restarts\n")
	} else {
		a.printf("snapshot: %s\n", r.Path)
	}
	return nil
}

func delayHost(x *control.DelayRow) string {
	h := logging.Escape(x.Host)
	if x.Class != "" {
		h += "/" + logging.Escape(x.Class)
	}
	return h
}

func delayPolicy(x *control.DelayRow) string {
	if !x.Engine {
		return "off"
	}
	return x.Policy
}

// milli shows nanoseconds as milliseconds.
func milli(n int64) string {
	switch ms := float64(n) / 1e6; {
	case n == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.2fms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.1fms", ms)
	default:
		return time.Duration(n).Round(10 * time.Millisecond).String()
	}
}

// plotDelay draws the samples of a row, a line for each range of a fifth more.
func (a *app) plotDelay(x *control.DelayRow) {
	a.printf("%s %s %s: %d samples", delayHost(x), x.Protocol, x.Step, x.Count)
	if x.Step == "PASS" {
		a.printf(", deadline %s, at least %s", milli(x.Deadline), milli(x.Floor))
	}
	a.printf("\n")
	for _, b := range bins(x.Samples) {
		a.printf("  %8s .. %-8s %4d %s\n", milli(b.from), milli(b.to), b.n, strings.Repeat("#", (b.n*50+b.most-1)/b.most))
	}
	a.printf("\n")
}

type bin struct {
	from, to int64
	n, most  int
}

// bins counts samples in ranges that grow by a fifth, at most 40 of them, from
// the first to the last that has any.
func bins(samples []int64) []bin {
	const first, ratio = 100_000.0, 1.2 // 0.1 ms
	at := func(n int64) int {
		if n < int64(first) {
			return 0
		}
		return 1 + int(math.Log(float64(n)/first)/math.Log(ratio))
	}
	count := map[int]int{}
	lo, hi, most := math.MaxInt, 0, 0
	for _, n := range samples {
		i := at(max(n, 0))
		count[i]++
		lo, hi, most = min(lo, i), max(hi, i), max(most, count[i])
	}
	edge := func(i int) int64 {
		if i <= 0 {
			return 0
		}
		return int64(first * math.Pow(ratio, float64(i-1)))
	}
	step := 1
	for hi >= lo && (hi-lo)/step >= 40 {
		step++
	}
	var list []bin
	for i := lo; i <= hi; i += step {
		b := bin{from: edge(i), to: edge(i + step)}
		for j := i; j < i+step; j++ {
			b.n += count[j]
		}
		most = max(most, b.n)
		list = append(list, b)
	}
	for i := range list {
		list[i].most = most
	}
	return list
}

const delayExplainLong = `explain tells what a wrong password of USER costs on a host, whether a real or a
decoy hash is computed, and when the answer leaves. It tells whether the name
exists: that is an administrator's question.`

func newDelayExplain(a *app) *cobra.Command {
	var r control.DelayExplainRequest
	c := &cobra.Command{
		Use:   "explain USER",
		Short: "tell what a login of a user would be waited for, and why",
		Long:  delayExplainLong,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.User = args[0]
			res, err := a.client().DelayExplain(cmd.Context(), r)
			if err != nil {
				return err
			}
			return a.print(res, func() error {
				for _, l := range res.Lines {
					a.printf("%s\n", logging.Escape(l))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&r.Host, "host", "", "virtual host (default: the default host)")
	c.Flags().StringVar(&r.Class, "class", "", "class of the client (default: none)")
	c.Flags().StringVar(&r.Protocol, "protocol", "", "ftp, ftps or sftp (default: ftp)")
	return c
}

func newDelayReset(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reset [HOST]",
		Short: "clear the rows of a virtual host, or all",
		Long: `reset clears the samples of a virtual host, or of all, at once. Deadlines then stand on
what a hash was measured to take, until logins have been timed again. Nobody who
waits for an answer is touched.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r control.DelayResetRequest
			if len(args) == 1 {
				r.Host = args[0]
			}
			res, err := a.client().DelayReset(cmd.Context(), r)
			if err != nil {
				return err
			}
			return a.print(res, func() error { a.printf("%d rows cleared\n", res.Rows); return nil })
		},
	}
}
