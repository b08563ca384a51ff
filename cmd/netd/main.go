// Command netd is the only process of the daemon that calls others: it asks name
// servers for the names that the configuration has. It sees no client, opens no
// user's file and listens on nothing; what it says is a record, never a verdict
// on anybody. Started by master where there are names to look up.
// docs/ARCHITECTURE.md describes its place, docs/TRUST.md what it is worth to an
// intruder.
package main

import (
	"net"

	"sallyport/internal/worker"
)

func main() {
	w := worker.Begin(worker.Netd) // 1 identity  2 descriptors
	w.Confine()                    // 3 sandbox
	s := newServer(w.FD(0), &net.Resolver{PreferGo: true}, defaultPace)
	w.End(s.run()) // 4 handlers  5 loop
}
