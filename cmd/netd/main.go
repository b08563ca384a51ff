// Command netd is the only process of the daemon that calls others: it asks name
// servers for the names that the configuration has, and serves the stores by
// which several daemons share their bans. It sees no client, opens no user's file
// and listens on nothing; what it says is a record, never a verdict on anybody.
// Started by master where there is somebody to call.
// docs/ARCHITECTURE.md describes its place, docs/TRUST.md what it is worth to an
// intruder.
package main

import (
	"io"
	"net"

	"sallyport/internal/worker"
)

func main() {
	w := worker.Begin(worker.Netd) // 1 identity  2 descriptors
	s := newServer(w.FD(0), &net.Resolver{PreferGo: true}, defaultPace)
	switch err := s.meet(); err { // whom it may call
	case nil:
	case io.EOF:
		w.End(nil)
	default:
		w.End(err)
	}
	w.ConfineToPorts(s.first.view.Ports()) // 3 sandbox
	w.End(s.run())                         // 4 handlers  5 loop
}
