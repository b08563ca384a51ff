// Command session is the process that talks to one client. It holds the
// client's connection and channels to master, authd and later the user's files
// process, and can open nothing: no file, no socket, no program.
// docs/FTP.md describes the protocol it speaks, docs/TRUST.md what its word is
// worth.
package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"sallyport/internal/ftp"
	"sallyport/internal/worker"
	"sallyport/ipc"
	"sallyport/shm"
)

func main() {
	w := worker.Begin(worker.Session) // 1 identity  2 descriptors
	w.Confine()                       // 3 sandbox
	c, err := handlers(w)             // 4 handlers
	if err != nil || c == nil {
		w.End(err)
	}
	w.End(ftp.Serve(*c)) // 5 loop
}

// handlers waits in the pool for a client. There is none where master lets a
// spare session go: nil.
func handlers(w *worker.Worker) (*ftp.Config, error) {
	// What lives is some 100 KiB; by default the first 4 MiB of garbage would
	// stay until there are more.
	debug.SetGCPercent(25)
	page, err := shm.OpenPage(w.FD(2))
	if err != nil {
		return nil, err
	}
	unix.Close(w.FD(2))
	c := &ftp.Config{
		Lane:   ipc.New(w.FD(0), ipc.SessionLane, ipc.Session),
		Notice: ipc.New(w.FD(1), ipc.SessionNotice, ipc.Session),
		Page:   page,
	}
	if err := ftp.WarmUp(); err != nil {
		return nil, err
	}
	m, err := c.Notice.Recv()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch b := m.Body.(type) {
	case *ipc.Assign:
		return c, assigned(c, b, m.FDs)
	case *ipc.End:
		return nil, nil
	}
	m.Close()
	return nil, fmt.Errorf("master: %T instead of a client", m.Body)
}

// assigned takes the client: its connection, the channel to authd, the view.
func assigned(c *ftp.Config, a *ipc.Assign, fds []int) error {
	if a.Protocol != "ftp" {
		return fmt.Errorf("protocol %q is not spoken here", a.Protocol)
	}
	c.Assign, c.Control = *a, fds[0]
	c.Auth = ipc.New(fds[1], ipc.SessionAuthd, ipc.Session)
	err := ipc.ReadBlob(fds[2], &c.View)
	unix.Close(fds[2])
	return err
}
