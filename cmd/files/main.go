// Command files is the process that opens one user's files for one session,
// under that user's identity. It talks to no network: it has a channel to
// master, one to the session, one to authd for the names of ids, and the tree
// beneath the user's root. docs/FILES.md describes it.
package main

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/vfs/server"
	"sallyport/internal/worker"
	"sallyport/ipc"
)

// gcPercent makes the garbage of a listing go at 1 MiB: what lives is little, and
// by default the first 4 MiB would stay with a session that has listed once.
const gcPercent = 25

func main() {
	w := worker.Begin(worker.Files) // 1 identity  2 descriptors
	debug.SetGCPercent(gcPercent)
	master := ipc.New(w.FD(0), ipc.MasterFiles, ipc.Files)
	f, err := enter(master, w.FD(3))
	if err != nil || f == nil {
		w.End(err)
	}
	names, err := newNames(w.FD(2))
	if err != nil {
		w.End(err)
	}
	w.ConfineTo(f.place.Root) // 3 sandbox
	s, err := f.handlers(names)
	if err != nil {
		w.End(err)
	}
	if err := f.ready(master, w.Note); err != nil { // 4 handlers
		w.End(err)
	}
	err = s.Serve(ipc.New(w.FD(1), ipc.SessionFiles, ipc.Files), master.FD()) // 5 loop
	s.Close()                                                                 // uploads in hand have failed
	w.End(err)
}

// files is what is known before the sandbox: the rules and the user's place.
type files struct {
	rules policy.Files
	start *ipc.FilesStart
	place server.Place
}

// enter reads the view and master's order and resolves the root with the user's
// own rights. A user without a place to go is reported to master, and there is
// nothing to serve: nil.
func enter(master *ipc.Conn, view int) (*files, error) {
	f := &files{}
	if err := ipc.ReadBlob(view, &f.rules); err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	unix.Close(view)
	m, err := master.Recv()
	if err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	start, ok := m.Body.(*ipc.FilesStart)
	if !ok {
		return nil, fmt.Errorf("master: %T instead of an order to start", m.Body)
	}
	if !f.rules.TimesGMT {
		server.LoadLocalTime()
	}
	f.start = start
	f.place, err = server.Start{
		Root: start.Root, Home: start.Home, Chdir: start.Chdir, Links: start.LinksInRoot || f.rules.AllowRootSymlinks,
	}.Enter()
	if err != nil {
		return nil, master.Send(ipc.FilesRefused{Reason: cut(err.Error())})
	}
	return f, nil
}

func (f *files) handlers(n *names) (*server.Server, error) {
	s, err := server.New(f.place.Root, f.rules, n.lookup)
	if err != nil {
		return nil, err
	}
	s.Limit(f.start.MaxStore, f.start.MaxRetrieve)
	s.Groups(n.groups)
	return s, nil
}

// ready tells master that the session may have the channel.
func (f *files) ready(master *ipc.Conn, sandbox string) error {
	note := sandbox
	if f.place.Note != "" {
		note = f.place.Note + "; " + sandbox
	}
	if err := master.Send(ipc.FilesReady{Home: f.place.Home, Note: cut(note)}); err != nil {
		return fmt.Errorf("master: %w", err)
	}
	return nil
}

// cut shortens a text to what the dialogue takes.
func cut(s string) string { return s[:min(len(s), 256)] }
