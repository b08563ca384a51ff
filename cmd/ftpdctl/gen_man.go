package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/internal/config"
	"sallyport/internal/version"
)

// newGenMan makes the manual pages of the packages from the commands and from
// the grammar of the configuration.
func newGenMan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "gen-man DIR | gen-man sallyport.hcl",
		Short:  "write ftpdctl.8 and sallyport.hcl.5 into DIR, or the latter to standard output",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "sallyport.hcl" {
				return config.ManPage(a.out)
			}
			for name, write := range map[string]func(io.Writer) error{
				"ftpdctl.8":       func(w io.Writer) error { return manPage(w, cmd.Root()) },
				"sallyport.hcl.5": config.ManPage,
			} {
				var b strings.Builder
				if err := write(&b); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(b.String()), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// roff writes man(7) source.
type roff struct{ strings.Builder }

var roffText = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`)

func (r *roff) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

// text writes paragraphs; an indented line stands as it is.
func (r *roff) text(s string) {
	literal := false
	for l := range strings.SplitSeq(strings.Trim(s, "\n"), "\n") {
		if in := strings.HasPrefix(l, "  "); in != literal {
			if literal = in; in {
				r.line(".PP\n.RS 4\n.nf")
			} else {
				r.line(".fi\n.RE")
			}
		}
		switch esc := roffText.Replace(strings.TrimPrefix(l, "  ")); {
		case l == "":
			r.line(".PP")
		case strings.HasPrefix(esc, "."):
			r.line(`\&%s`, esc)
		default:
			r.line("%s", esc)
		}
	}
	if literal {
		r.line(".fi\n.RE")
	}
}

func (r *roff) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		name := `\fB\-\-` + roffText.Replace(f.Name) + `\fR`
		if f.Shorthand != "" {
			name = `\fB\-` + f.Shorthand + `\fR, ` + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += ` \fI` + roffText.Replace(kind) + `\fR`
		}
		r.line(".TP\n%s\n%s", name, roffText.Replace(usage))
	})
}

// manPage writes ftpdctl(8) from the command tree.
func manPage(w io.Writer, root *cobra.Command) error {
	r := &roff{}
	date := time.Now()
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		var sec int64
		if _, err := fmt.Sscan(s, &sec); err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH=%q: %w", s, err)
		}
		date = time.Unix(sec, 0)
	}
	r.line(`.TH FTPDCTL 8 "%s" "Sallyport %s" "Sallyport"`, date.UTC().Format("2006-01-02"), version.Version)
	r.line(".SH NAME\nftpdctl \\- %s", roffText.Replace(root.Short))
	r.line(".SH SYNOPSIS\n.B ftpdctl\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]")
	r.line(".SH DESCRIPTION")
	r.text(root.Long)
	r.line(".SH OPTIONS")
	r.flags(root.PersistentFlags())
	r.line(".SH COMMANDS")
	r.commands(root)
	r.line(".SH FILES")
	for _, f := range [][2]string{
		{"/run/sallyport/control.sock", "control socket"},
		{defaultConfig, "configuration"},
		{defaultUsers, "users file where the configuration names none"},
	} {
		r.line(".TP\n.I %s\n%s", roffText.Replace(f[0]), f[1])
	}
	r.line(".SH SEE ALSO\n.BR sallyport (8),\n.BR sallyport.hcl (5)")
	_, err := io.WriteString(w, r.String())
	return err
}

// commands writes the commands below c that are shown, and theirs.
func (r *roff) commands(c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" {
			continue
		}
		if sub.HasAvailableSubCommands() && sub.Name() == "completion" {
			r.line(".SS ftpdctl completion bash|fish|zsh|powershell\nprint completion for a shell")
			continue
		}
		use := strings.TrimSuffix(sub.UseLine(), " [flags]")
		r.line(".SS %s", roffText.Replace(use))
		if sub.Long != "" {
			r.text(sub.Long)
		} else {
			r.text(strings.ToUpper(sub.Short[:1]) + sub.Short[1:] + ".")
		}
		if sub.Example != "" {
			r.text(sub.Example)
		}
		r.flags(sub.LocalNonPersistentFlags())
		if sub.HasAvailableSubCommands() {
			r.flags(sub.PersistentFlags())
		}
		r.commands(sub)
	}
}
