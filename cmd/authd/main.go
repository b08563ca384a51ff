// Command authd knows the passwords. It reads the account files, runs hashes in
// child workers and PAM stacks in helpers, decides logins and tells master who
// a user is. It never sees a client: sessions ask it over channels that master
// made. Started by master; "authd hash" is the hash worker, "authd certificate"
// makes a certificate for a host that has none.
package main

import (
	"os"

	"sallyport/internal/worker"
)

func main() {
	if len(os.Args) == 4 && (os.Args[3] == "hash" || os.Args[3] == "certificate") {
		w := worker.Begin(worker.Hash)
		w.Confine()
		if os.Args[3] == "certificate" {
			w.End(serveCertificate(w.FD(0)))
		}
		w.End(serveHashes(w.FD(0)))
	}
	w := worker.Begin(worker.Authd)
	w.Confine()
	s, err := newServer(w.FD(0), defaultLimits)
	if err == nil {
		err = s.run()
	}
	w.End(err)
}
