//go:build hostile

// Command session is a hijacked session: it takes the real first three steps
// and then does what an intruder would do.
//
// Started by the tests of test/hostile it has arguments (see probe). Started by
// a real master in the place of bin/session it has none: then it does, after it
// has got its client, what the client's lines tell it (see puppet).
package main

import (
	"os"

	"sallyport/internal/worker"
)

func main() {
	r := worker.Session
	if len(os.Args) > 3 {
		r.FDs, r.Args = r.FDs+probeFDs, probeArgs
		w := worker.Begin(r)
		w.Confine()
		w.End(probe(w))
	}
	w := worker.Begin(r)
	w.Confine()
	w.End(puppet(w))
}
