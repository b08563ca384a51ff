package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says which children a starter makes, and so what they may ever hold.
type Kind uint8

// The kinds of starters.
const (
	// ForWorkers starts session, files and hash: no capability, no_new_privs.
	ForWorkers Kind = iota + 1
	// ForAuthd starts authd: CAP_DAC_READ_SEARCH, which reads what root's own
	// files forbid (shadow 0640, users files of others), and no_new_privs.
	ForAuthd
	// ForPam starts the pam helper: what PAM modules use. Without
	// no_new_privs: modules run programs of the administrator's choice
	// (unix_chkpwd, pam_exec), which may be set-user-id or change their
	// security label; the helper is root within its bounding set anyway.
	ForPam
	// ForOwner starts owner, which makes home directories: CAP_CHOWN to give
	// them away, CAP_DAC_OVERRIDE to make them where root has no right of its
	// own (below a directory of the user's), and no_new_privs.
	ForOwner
)

type kindTraits struct {
	name       string
	bounding   CapSet
	noNewPrivs bool
	slack      time.Duration // see timerSlack; 0: the kernel's 50 microseconds
}

// timerSlack is how late timers of short-lived children may fire, see
// PR_SET_TIMERSLACK. The monitor thread of the Go runtime sleeps 20 microseconds
// at a time while a program starts; its wakes cost as much CPU as all else that a
// login is, and look for goroutines that wait for a processor, of which these
// programs have none. Their own waits are of seconds.
const timerSlack = 2 * time.Millisecond

var kinds = map[Kind]kindTraits{
	ForWorkers: {"workers", 0, true, timerSlack},
	ForAuthd:   {"authd", Caps(unix.CAP_DAC_READ_SEARCH), true, 0},
	ForPam: {"pam", Caps(unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER,
		unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_AUDIT_WRITE, unix.CAP_SYS_RESOURCE, unix.CAP_SYS_NICE, unix.CAP_KILL), false, 0},
	ForOwner: {"owner", Caps(unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE), true, timerSlack},
}

// Starter starts children of one kind from a thread of its own. Several of a
// kind may work in parallel. It has no state but its thread and its queue.
type Starter struct {
	kind kindTraits
	null int // /dev/null, the children's stdin

	mu     sync.Mutex
	closed bool
	jobs   chan job
}

type job struct {
	spec Spec
	done func(Child, error)
}

// queueLength bounds the starts that wait for one starter.
const queueLength = 256

// Errors a caller branches on.
var (
	// ErrBusy means that too many starts wait already.
	ErrBusy = errors.New("too many starts are waiting")
	// ErrClosed means that the starter was closed.
	ErrClosed = errors.New("starter is closed")
)

// NewStarter makes a starter and returns once its thread is confined. Make all
// starters before master trims its own capabilities (they need CAP_SETPCAP) and
// before [Master].
//
// It fails where the thread cannot be confined as the kind demands: for root
// that includes the bounding set; an ordinary user's master has no capability
// to lose, and no_new_privs keeps its children from getting one.
func NewStarter(k Kind) (*Starter, error) {
	traits, ok := kinds[k]
	if !ok {
		return nil, fmt.Errorf("starter: unknown kind %d", k)
	}
	s := &Starter{kind: traits, null: -1, jobs: make(chan job, queueLength)}
	ready := make(chan error)
	go s.run(ready, nil)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("starter for %s: %w", traits.name, err)
	}
	return s, nil
}

// run is the thread. It never unlocks: when it returns, the thread ends with it
// and cannot be used for anything else. A panic here ends master, as it should.
func (s *Starter) run(ready chan<- error, away chan<- struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread is what /proc shows of the process, and cannot end:
		// hold it until the goroutine has come to rest on another thread.
		other := make(chan struct{})
		go s.run(ready, other)
		<-other
		runtime.UnlockOSThread()
		return
	}
	if away != nil {
		close(away)
	}
	err := s.setup()
	ready <- err
	if err != nil {
		return
	}
	for j := range s.jobs {
		j.done(s.start(j.spec))
	}
	unix.Close(s.null)
}

// setup confines the calling thread, and verifies that it is.
func (s *Starter) setup() (err error) {
	// A working directory and a umask of this thread alone, see start.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the working directory: %w", err)
	}
	unix.Umask(0o077)
	if err := dropBounding(s.kind.bounding); err != nil {
		return err
	}
	if err := dropInheritable(); err != nil {
		return err
	}
	if s.kind.noNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
		if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || on != 1 {
			return fmt.Errorf("no_new_privs is %d after it was set: %w", on, err)
		}
	}
	if extra := BoundingSet() &^ s.kind.bounding; extra != 0 && unix.Geteuid() == 0 {
		return fmt.Errorf("the bounding set still holds %#x: CAP_SETPCAP is needed", uint64(extra))
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(s.kind.slack), 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	s.null, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	return nil
}

// Start starts a child and waits until it has executed its program, a fraction
// of a millisecond. Errors name the step that failed; the child then never ran.
func (s *Starter) Start(spec Spec) (Child, error) {
	type result struct {
		c   Child
		err error
	}
	r := make(chan result, 1)
	if err := s.StartAsync(spec, func(c Child, err error) { r <- result{c, err} }); err != nil {
		return Child{}, err
	}
	x := <-r
	return x.c, x.err
}

// StartAsync queues a start and returns at once: ErrBusy where too many wait,
// ErrClosed after Close. Otherwise done is called exactly once, on the
// starter's thread; it must neither block nor take long (send on a buffered
// channel, write to an eventfd). The descriptors in spec must stay open until
// then.
func (s *Starter) StartAsync(spec Spec, done func(Child, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.jobs <- job{spec, done}:
		return nil
	default:
		return fmt.Errorf("start %s: %w", spec.Name, ErrBusy)
	}
}

// Close ends the thread once the queue is empty. It does not touch children.
func (s *Starter) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.jobs)
	}
}

// Bounding is the most that a child of this kind may ever hold.
func (k Kind) Bounding() CapSet { return kinds[k].bounding }
