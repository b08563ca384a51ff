//go:build hostile

package main

import (
	"slices"

	"sallyport/internal/worker"
	"sallyport/test/hostile/attack"
)

// The descriptors and arguments of a probe, after those of a session: a socket
// that is not connected, a file for appending, the test's channel; what to try,
// the pid of a sibling and of the test, a listening port.
const (
	probeFDs  = 3
	probeArgs = attack.Args
)

func probe(w *worker.Worker) error {
	e := attack.Parse(w.Args)
	e.Channel, e.ReadOnly, e.Socket, e.Append = w.FD(0), w.FD(2), w.FD(3), w.FD(4)
	return attack.Serve(w.FD(5), w.Args[0], e, slices.Concat(attack.Session, attack.Everyone, attack.Arch))
}
