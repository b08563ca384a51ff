package main

import (
	"fmt"
	"os/user"
	"runtime"
	"strconv"

	"sallyport/internal/sandbox"
)

// launch says which process to start, as whom, and with which descriptors.
type launch struct {
	name   string   // of the binary in libexec
	args   []string // role arguments after the common ones
	as     identity
	uid    uint32 // asUser
	gid    uint32
	groups []uint32
	root   bool  // uid 0 is meant (root_login); vet has let it pass
	files  []int // descriptors from 3 on; spawn owns and closes them
}

// identity is who a process is to be, from its first instruction on.
type identity int

const (
	asWorker identity = iota // the daemon's user, in the empty directory
	asUser                   // the logged-in user
	asAuthd                  // root with the right to read what it must
	asPam                    // root with what the PAM stack needs
	asNetd                   // the daemon's user, not locked in: the resolver reads /etc
	asOwner                  // root with what making a home needs
)

// identities are the facts that every start needs.
type identities struct {
	root        bool   // master runs as root; otherwise everything has its identity
	uid, gid    uint32 // of the daemon's user
	empty       string // the directory sessions are locked into
	emptyLock   int    // descriptor of it, with a shared lock: it is in use; 0: none
	libexec     int    // descriptor of the directory of the binaries
	libexecPath string
}

// lookupUser finds the daemon's user. Without root there is nobody else to be.
func lookupUser(name string) (uid, gid uint32, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("user %q, which the workers are to run as: %w", name, err)
	}
	id, err1 := strconv.ParseUint(u.Uid, 10, 32)
	group, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil || id == 0 || group == 0 {
		return 0, 0, fmt.Errorf("user %q has uid %s and gid %s: workers need an identity without rights", name, u.Uid, u.Gid)
	}
	return uint32(id), uint32(group), nil
}

// starters are the threads that start processes: one a core for workers, so
// that the pool refills in parallel, and one for each kind with rights.
type starters struct {
	workers []*sandbox.Starter
	authd   *sandbox.Starter
	pam     *sandbox.Starter
	owner   *sandbox.Starter
	next    int
}

func newStarters() (starters, error) {
	var s starters
	for range runtime.NumCPU() {
		w, err := sandbox.NewStarter(sandbox.ForWorkers)
		if err != nil {
			return s, err
		}
		s.workers = append(s.workers, w)
	}
	var err error
	if s.authd, err = sandbox.NewStarter(sandbox.ForAuthd); err != nil {
		return s, err
	}
	if s.pam, err = sandbox.NewStarter(sandbox.ForPam); err != nil {
		return s, err
	}
	s.owner, err = sandbox.NewStarter(sandbox.ForOwner)
	return s, err
}

func (s *starters) of(as identity) *sandbox.Starter {
	switch as {
	case asAuthd:
		return s.authd
	case asPam:
		return s.pam
	case asOwner:
		return s.owner
	}
	s.next++
	return s.workers[s.next%len(s.workers)]
}

// memoryLimit is each role's soft memory limit in MiB, a safety net of the Go
// runtime.
var memoryLimit = map[string]int{"session": 64, "files": 64, "authd": 512, "pam": 64, "owner": 64, "netd": 256}

// spawn starts a process on a thread of its kind. done runs on the loop; it
// gets a process that nobody supervises yet, or an error.
func (m *master) spawn(l launch, done func(*child, error)) {
	if m.upgrades.holding {
		// Master is about to execute itself: nothing may be started that
		// would inherit its descriptors.
		m.upgrades.held = append(m.upgrades.held, func() { m.spawn(l, done) })
		return
	}
	sp := sandbox.Spec{
		Dir: m.who.libexec, Name: l.name, Mode: sandbox.Mode(m.gen.policy.Global.Sandbox), Args: l.args,
		Env: sandbox.WorkerEnv(memoryLimit[l.name]), Files: l.files, Identity: m.who.root,
	}
	switch l.as {
	case asWorker:
		sp.UID, sp.GID, sp.Chroot = m.who.uid, m.who.gid, m.who.empty
	case asNetd:
		sp.UID, sp.GID = m.who.uid, m.who.gid
	case asUser:
		sp.UID, sp.GID, sp.Groups, sp.RootLogin = l.uid, l.gid, l.groups, l.root
	}
	m.spawning++
	err := m.starters.of(l.as).StartAsync(sp, func(c sandbox.Child, err error) {
		closeAll(l.files)
		m.loop.post(func() {
			m.spawning--
			if err != nil {
				done(nil, err)
				return
			}
			done(&child{name: l.name, pid: c.PID, pidfd: c.PIDFD}, nil)
		})
	})
	if err != nil {
		closeAll(l.files)
		m.spawning--
		done(nil, err)
	}
}
