package main

import (
	"math"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
)

// A logged-in client takes about so many descriptors of master.
const perSession = 8

// descriptorRoof returns the number from which on a new client is refused: the
// last quarter of the limit, at most 1024, is kept for logins and data
// connections of those who are served already. Since the kernel gives the
// lowest free number, a client that gets the roof's has all below in use. The
// limit is the hard one: the runtime has raised the soft one to it.
func (m *master) descriptorRoof() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		m.log.Warn("limit of open files", logging.Error(err))
		return math.MaxInt
	}
	limit := int(min(l.Cur, math.MaxInt32))
	if limit < 4096 {
		m.log.Warn("the limit of open files is low (LimitNOFILE=, ulimit -n)", logging.Kind(logging.SelfTest),
			"limit", limit, "clients", limit/perSession)
	}
	return limit - min(limit/4, 1024)
}
