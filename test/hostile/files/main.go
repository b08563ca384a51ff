//go:build hostile

// Command files is a hijacked files process: it takes the real first three
// steps and then tries to leave its root.
package main

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"sallyport/internal/worker"
	"sallyport/test/hostile/attack"
)

func main() {
	r := worker.Files
	r.FDs, r.Args = 4+1, attack.Args+2 // the test's channel; root, outside
	w := worker.Begin(r)
	root, err := unix.Openat2(unix.AT_FDCWD, w.Args[attack.Args], &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		w.End(fmt.Errorf("open root: %w", err))
	}
	w.ConfineTo(root)
	e := attack.Parse(w.Args)
	e.Channel, e.ReadOnly, e.Root, e.Outside = w.FD(0), w.FD(3), root, w.Args[attack.Args+1]
	w.End(attack.Serve(w.FD(4), w.Args[0], e, slices.Concat(attack.Files, attack.Everyone, attack.Arch)))
}
