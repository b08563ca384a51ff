package main

import (
	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
)

// boundFiles lets the kernel hold a session to max.store_file_size, most bytes, 0
// for no limit: what files settles when an upload ends, a session that keeps a
// descriptor could undo afterwards. Only the soft limit is set: the session may
// not raise it (its filter has no call for that), and the next login may.
func (m *master) boundFiles(s *session, most int64) {
	if len(s.login.set.StoreSizes) == 0 || s.exited {
		return
	}
	var l unix.Rlimit
	err := unix.Prlimit(s.child.pid, unix.RLIMIT_FSIZE, nil, &l)
	if err == nil {
		l.Cur = l.Max
		if most > 0 {
			l.Cur = min(uint64(most), l.Max)
		}
		err = unix.Prlimit(s.child.pid, unix.RLIMIT_FSIZE, &l, nil)
	}
	if err != nil && err != unix.EPERM { // a container without CAP_SYS_RESOURCE: files' own look has to do
		m.log.Warn("limit of file size", append(s.facts(), logging.Error(err))...)
	}
}
