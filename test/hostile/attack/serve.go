package attack

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Args is how many arguments a probe takes: what to try ("all" or a name), the
// sibling's pid, the test's pid, a listening port.
const Args = 4

// Parse reads a probe's arguments.
func Parse(args []string) *Env {
	e := &Env{}
	for i, p := range []*int{&e.Sibling, &e.Master, &e.Port} {
		*p, _ = strconv.Atoi(args[1+i])
	}
	return e
}

// Serve says "ready" on the test's channel, waits for a word, tries what it is
// told and reports a line an attempt. "all" leaves out what would kill.
func Serve(fd int, what string, e *Env, all []Attempt) error {
	say(fd, "ready")
	if n, err := unix.Read(fd, make([]byte, 16)); n == 0 || err != nil {
		return err // the test has gone: the end of an idle sibling
	}
	done := false
	for i := range all {
		a := &all[i]
		if what == a.Name || what == "all" && a.Want != SIGSYS {
			say(fd, a.Name+": "+a.Result(e))
			done = true
		}
	}
	if !done {
		return fmt.Errorf("no attempt %q", what)
	}
	return nil
}

func say(fd int, line string) {
	_, _ = unix.Write(fd, []byte(line+"\n"))
}
