// Command master is the sallyport daemon: the root process that owns the
// listening sockets, starts every other process and decides who becomes whom.
//
// It is one loop on one thread (loop.go) that never waits for anybody. It reads
// no byte that a client sends, walks no path of a user's, calls no service of
// the network and never changes its identity. docs/ARCHITECTURE.md tells how
// the processes fit together, docs/OPERATIONS.md how to run them.
//
// main takes the five steps that every process of the daemon takes: identity,
// descriptors, sandbox, handlers, loop.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"sallyport/internal/version"
)

// libexec is where the binaries of the workers are unless they lie beside
// master's own; the linker sets it.
var libexec = "/usr/lib/sallyport"

func main() {
	opt, err := parseOptions(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "sallyport:", err)
		os.Exit(2)
	case opt.version:
		fmt.Println("sallyport", version.Version)
		os.Exit(0)
	case opt.check:
		os.Exit(check(opt))
	}
	if err := run(opt); err != nil {
		fmt.Fprintln(os.Stderr, "sallyport:", err)
		os.Exit(1)
	}
}

// run is the daemon from its first step to its clean end.
func run(opt *options) error {
	sig := catchSignals()
	b, err := identify(opt) // 1. identity, and the configuration it serves under
	if err != nil {
		return err
	}
	if err := b.descriptors(); err != nil { // 2. descriptors
		return b.fail(err)
	}
	if err := b.confine(); err != nil { // 3. sandbox
		return b.fail(err)
	}
	m, err := b.handlers(sig) // 4. handlers
	if err != nil {
		return b.fail(err)
	}
	defer m.log.Close(2 * time.Second)
	defer m.logs.files.Close(2 * time.Second)
	return m.serve() // 5. loop
}
