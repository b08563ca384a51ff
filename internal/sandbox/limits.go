package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limits are the hard resource limits of a process. RLIMIT_DATA bounds a Go
// program: what it maps writable and private counts, what it only reserves does
// not; what would not count all the same the filter refuses. RLIMIT_FSIZE stays: it
// is the user's. RLIMIT_NPROC stays: it counts all processes of a user and would
// starve the runtime of threads.
type limits struct {
	data  uint64 // bytes; 0: unlimited
	files uint64 // descriptors
}

var (
	sessionLimits = limits{data: 256 << 20, files: 128}
	filesLimits   = limits{data: 256 << 20, files: 4096} // also bounds descriptors in flight, of all processes of the user
	hashLimits    = limits{data: 1 << 30, files: 16}
	authdLimits   = limits{data: 2 << 30, files: 0}
	ownerLimits   = limits{data: 256 << 20, files: 128}
)

func (l limits) set() error {
	for _, x := range []struct {
		name     string
		resource int
		value    uint64
		skip     bool
	}{
		{"RLIMIT_CORE", unix.RLIMIT_CORE, 0, false},
		{"RLIMIT_DATA", unix.RLIMIT_DATA, l.data, l.data == 0},
		{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, l.files, l.files == 0},
	} {
		if x.skip {
			continue
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(x.resource, &now); err != nil {
			return fmt.Errorf("read %s: %w", x.name, err)
		}
		v := min(x.value, now.Max) // never raise what the administrator set
		if err := unix.Setrlimit(x.resource, &unix.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("set %s to %d: %w", x.name, v, err)
		}
	}
	return nil
}

// undumpable keeps other processes of the same user from reading this one, and
// leaves no core file with passwords in it.
func undumpable() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process undumpable: %w", err)
	}
	return nil
}
