// Package worker holds the steps that every worker's main takes, so that they
// all read alike:
//
//	w := worker.Begin(worker.Session)      // 1 identity  2 descriptors
//	w.Confine()                            // 3 sandbox
//	s := session.New(w.FD(0), w.FD(1) ...) // 4 handlers
//	w.End(s.Serve())                       // 5 loop
//
// files and netd have their third step later, when they know their root, or whom
// they may call: see ConfineTo and ConfineToPorts.
//
// A worker that finds itself otherwise than it was meant to be says why on
// stderr and leaves with status ExitSetup: nothing of it has run that could do
// harm. Master starts workers by internal/sandbox; docs/ARCHITECTURE.md has the
// contract.
package worker

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
)

// Exit statuses of a worker.
const (
	ExitUsage = 64 // started by hand
	ExitFault = 70 // the loop ended with an error
	ExitSetup = 71 // identity, descriptors or sandbox are not as they must be
)

// Role is what distinguishes the workers before their loops.
type Role struct {
	Name    string // argv[0]
	FDs     int    // descriptors from 3 on, exactly
	Args    int    // role arguments, exactly
	Root    bool   // runs as uid 0
	AnyUID  bool   // or may do so
	Caps    sandbox.CapSet
	NewPriv bool // no_new_privs is not expected
	confine func(sandbox.Mode) (string, error)
}

// The roles of docs/ARCHITECTURE.md.
var (
	Session = Role{Name: "session", FDs: 3, confine: sandbox.Session}
	// Files runs as uid 0 where the host lets root log in, without capabilities.
	Files = Role{Name: "files", FDs: 4, AnyUID: true}
	Authd = Role{Name: "authd", FDs: 1, Root: true, Caps: sandbox.ForAuthd.Bounding(), confine: sandbox.Authd}
	// Hash is the program authd with the argument "hash", or "certificate".
	Hash = Role{Name: "authd", FDs: 1, Args: 1, confine: sandbox.Hash}
	// Pam is confined by its bounding set and by master's filter: nobody can
	// know what the modules of a host's stack do.
	Pam = Role{Name: "pam", FDs: 1, Root: true, Caps: sandbox.ForPam.Bounding(), NewPriv: true}
	// Netd calls name servers and stores, as the daemon's user.
	Netd = Role{Name: "netd", FDs: 1}
	// Owner makes one home directory.
	Owner = Role{Name: "owner", FDs: 1, Root: true, Caps: sandbox.ForOwner.Bounding(), confine: sandbox.Owner}
)

// Worker is a process that has found itself as expected.
type Worker struct {
	Role     Role
	Mode     sandbox.Mode
	Rootless bool
	Args     []string // role arguments
	Note     string   // what Confine achieved, for the log
}

// Begin takes steps 1 and 2: it changes to the root directory, checks arguments,
// identity, capabilities, no_new_privs and descriptors, marks those
// close-on-exec and closes all others. It does not return where something is
// wrong.
func Begin(r Role) *Worker {
	w, err := begin(r, os.Args)
	switch {
	case err == errByHand:
		say(r.Name, "this program is started by sallyport; see sallyport(8)")
		os.Exit(ExitUsage)
	case err != nil:
		say(r.Name, err.Error())
		os.Exit(ExitSetup)
	}
	return w
}

func begin(r Role, argv []string) (*Worker, error) {
	// First of all: the working directory is still outside of the chroot.
	if err := unix.Chdir("/"); err != nil {
		return nil, wrap("chdir /", err)
	}
	w, err := parse(r, argv)
	if err != nil {
		return nil, err
	}
	if err := w.checkIdentity(); err != nil {
		return nil, err
	}
	if err := checkDescriptors(r.FDs); err != nil {
		return nil, err
	}
	return w, nil
}

// parse checks argv against the contract: name, sandbox mode, "root" or
// "rootless", role arguments.
func parse(r Role, argv []string) (*Worker, error) {
	if len(argv) < 3 || os.Getenv(sandbox.IdentityEnv) == "" || !isChannel(3) {
		return nil, errByHand
	}
	if argv[0] != r.Name || len(argv) != 3+r.Args {
		return nil, errors.New("arguments are not those of this program; is sallyport of another version?")
	}
	w := &Worker{Role: r, Args: argv[3:]}
	var err error
	if w.Mode, err = sandbox.ParseMode(argv[1]); err != nil {
		return nil, err
	}
	switch argv[2] {
	case "root":
	case "rootless":
		w.Rootless = true
	default:
		return nil, errors.New("third argument is neither root nor rootless")
	}
	return w, nil
}

var errByHand = errors.New("started by hand")

// FD returns the i-th passed descriptor: FD(0) is 3.
func (w *Worker) FD(i int) int {
	if i < 0 || i >= w.Role.FDs {
		panic("worker: no such descriptor")
	}
	return firstFD + i
}

// Confine takes step 3, the role's sandbox. It does not return where that fails.
func (w *Worker) Confine() {
	if w.Role.confine == nil {
		return
	}
	note, err := w.Role.confine(w.Mode)
	w.confined(note, err)
}

// ConfineTo is step 3 of files: the sandbox with the tree beneath root, an
// O_PATH descriptor of the directory.
func (w *Worker) ConfineTo(root int) {
	note, err := sandbox.Files(w.Mode, root)
	w.confined(note, err)
}

// ConfineToPorts is step 3 of netd: the sandbox with the TCP ports of its stores,
// which its first view names.
func (w *Worker) ConfineToPorts(ports []uint16) {
	note, err := sandbox.Netd(w.Mode, ports...)
	w.confined(note, err)
}

func (w *Worker) confined(note string, err error) {
	if err != nil {
		say(w.Role.Name, err.Error())
		os.Exit(ExitSetup)
	}
	w.Note = note
}

// End takes what the loop returned: nil leaves with status 0, an error is said
// on stderr first.
func (w *Worker) End(err error) {
	if err != nil {
		say(w.Role.Name, err.Error())
		os.Exit(ExitFault)
	}
	os.Exit(0)
}

func say(name, text string) {
	_, _ = unix.Write(2, []byte(name+": "+text+"\n"))
}

func wrap(what string, err error) error { return errors.New(what + ": " + err.Error()) }
