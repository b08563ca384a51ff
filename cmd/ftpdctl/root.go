package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/version"
)

// app is what the commands share.
type app struct {
	in       io.Reader
	out, err io.Writer
	socket   string
	json     bool
}

func (a *app) client() *control.Client { return &control.Client{Socket: a.socket} }

// print writes v as JSON where that was asked for, else what text writes.
func (a *app) print(v any, text func() error) error {
	if !a.json {
		return text()
	}
	return writeJSON(a.out, v)
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

const rootLong = `ftpdctl asks and orders a running sallyport over its control socket, checks its
configuration and edits users files.

Who may do what is decided by the daemon: root may everything, other members of
the control group (sallyport-admin) what the block "control" of sallyport.hcl(5)
allows. "config" and "passwd" work on files with your own rights and need no
daemon.

Exit status: 0 done, 1 failed, 2 access denied, 3 wrong parameters, 4 not found,
5 refused in the present state, 6 nothing to be done, 7 not supported by this daemon,
8 internal error.
The command "status" has its own, for monitoring.`

func newRoot(a *app) *cobra.Command {
	socket := os.Getenv("SALLYPORT_SOCKET")
	if socket == "" {
		socket = control.DefaultSocket
	}
	c := &cobra.Command{
		Use:           "ftpdctl",
		Short:         "administer the Sallyport FTP server",
		Long:          rootLong,
		Version:       version.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return missing(" (see ftpdctl --help)")
		},
	}
	c.SetVersionTemplate("ftpdctl {{.Version}}\n")
	c.PersistentFlags().StringVar(&a.socket, "socket", socket, "control socket of the daemon (environment: SALLYPORT_SOCKET)")
	c.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	c.AddCommand(
		newStatus(a), newWho(a), newKick(a), newReload(a), newShutdown(a), newTrace(a), newDelay(a), newBan(a), newPermit(a), newUpgrade(a), newVersion(a),
		newConfig(a), newPasswd(a), newGenMan(a),
	)
	wrongLine(c)
	return c
}

// missing is the mistake of a command that only holds others.
func missing(which string) error {
	return &exitStatus{code: int(control.CodeParameters), err: errors.New("missing command" + which)}
}

// wrongLine gives mistakes of the command line the exit status of wrong parameters.
func wrongLine(c *cobra.Command) {
	status := func(err error) error {
		if err == nil {
			return nil
		}
		return &exitStatus{code: int(control.CodeParameters), err: err}
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return status(err) })
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error { return status(check(c, args)) }
	}
	for _, sub := range c.Commands() {
		wrongLine(sub)
	}
}

// files lets completion offer files ending in ext for the one argument.
func files(ext string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{ext}, cobra.ShellCompDirectiveFilterFileExt
	}
}
