// Command ftpdctl is the administrator's tool: it asks and orders a running
// sallyport over its control socket, and works on the configuration and on
// users files directly.
//
// Exit statuses are those of internal/control: 0 done, 1 failed, 2 access
// denied, 3 wrong parameters, 4 not found, 5 refused, 6 nothing to be done, 7
// unsupported, 8 internal error. `ftpdctl status` has its own for monitoring, see its help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sallyport/internal/control"
)

// libexec is where the packages put the workers; the linker sets it.
var libexec = "/usr/lib/sallyport"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the command with its surroundings as arguments; it returns the exit
// status.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: errOut}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	if err == nil {
		return 0
	}
	var st *exitStatus
	if errors.As(err, &st) {
		if st.err != nil {
			fmt.Fprintf(errOut, "ftpdctl: %v\n", st.err)
		}
		return st.code
	}
	fmt.Fprintf(errOut, "ftpdctl: %v\n", err)
	var refusal *control.Error
	if errors.As(err, &refusal) {
		return int(refusal.Code)
	}
	return int(control.CodeFailed)
}

// exitStatus ends the command with a status of its own; without err it has said
// everything already.
type exitStatus struct {
	code int
	err  error
}

func (e *exitStatus) Error() string {
	if e.err == nil {
		return fmt.Sprint("exit status ", e.code)
	}
	return e.err.Error()
}

func (e *exitStatus) Unwrap() error { return e.err }
