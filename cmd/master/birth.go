package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/internal/sandbox"
	"sallyport/internal/unit"
	"sallyport/internal/version"
	"sallyport/ipc"
	"sallyport/shm"
)

// birth collects what the five steps find out before there is a loop.
type birth struct {
	opt       *options
	policy    *policy.Policy
	who       identities
	starters  starters
	inherited []unit.Socket
	listeners []*listener
	board     *shm.Board
	delays    *delayTable
	bans      *bans
	kernel    sandbox.Report
	logs      *logging.Opened
	resumed   *state // of the image before an upgrade in place; nil: a fresh start
}

// identify is the first step: who master is, what it is to serve, and who its
// workers are to be.
func identify(opt *options) (*birth, error) {
	b := &birth{opt: opt}
	b.who.root = os.Geteuid() == 0
	if os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid() {
		return nil, fmt.Errorf("started set-user-id: refused")
	}
	path, err := filepath.Abs(opt.config)
	if err != nil {
		return nil, fmt.Errorf("configuration file %q: %w", opt.config, err)
	}
	opt.config = path
	if opt.state >= 0 {
		if b.resumed, err = readState(opt.state); err != nil {
			return nil, err
		}
		inheritable(b.resumed.descriptors(), false)
	}
	if b.who.libexecPath, err = findLibexec(); err != nil {
		return nil, err
	}
	if b.policy, err = b.load(); err != nil {
		return nil, err
	}
	if b.who.root {
		if b.who.uid, b.who.gid, err = lookupUser(b.policy.Global.User); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// fail removes what a start that fails has made.
func (b *birth) fail(err error) error {
	if b.resumed == nil {
		if b.board != nil {
			_ = b.board.Remove()
		}
		if b.delays != nil {
			_ = b.delays.object.Remove()
		}
		if b.bans != nil && b.bans.on() {
			_ = b.bans.table.Remove()
		}
		b.who.removeEmpty()
	}
	return err
}

// load reads the configuration. After an upgrade in place there are sessions
// to look after: a file that cannot be used then leaves the former
// configuration in force.
func (b *birth) load() (*policy.Policy, error) {
	p, err := loadAtStart(b.opt.config, b.who.libexecPath)
	if b.resumed == nil {
		return p, err
	}
	if err == nil {
		err = fixed(b.resumed.Policy, p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sallyport: the former configuration stays:", err)
		return b.resumed.Policy, nil
	}
	return p, nil
}

// descriptors is the second step: sockets handed down, the directory of the
// binaries, the run-time directory, shared memory, listening sockets.
// Everything that is opened from here on is close-on-exec.
func (b *birth) descriptors() error {
	var have []*listener
	var err error
	if b.resumed != nil {
		have, b.inherited = restoreListeners(b.resumed)
	} else if b.inherited, err = unit.Adopt(); err != nil {
		return err
	}
	b.who.libexec, err = unix.Open(b.who.libexecPath, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("directory of the worker binaries %q: %w", b.who.libexecPath, err)
	}
	if b.who.empty, err = makeEmpty(b.policy.Global.RunDir, b.who.root); err != nil {
		return err
	}
	if b.who.emptyLock, err = lockEmpty(b.who.empty); err != nil {
		return err
	}
	if err = makeState(b.policy.Global.StateDir); err != nil && b.resumed == nil {
		return err
	}
	err = b.listen(have)
	if err != nil && b.resumed != nil && b.policy != b.resumed.Policy {
		fmt.Fprintln(os.Stderr, "sallyport: the former configuration stays:", err)
		b.policy = b.resumed.Policy
		err = b.listen(have)
	}
	if err != nil {
		return err
	}
	for _, l := range have {
		if !contains(b.listeners, l) {
			unix.Close(l.fd)
		}
	}
	if b.logs, err = openLogs(b.policy, b.resumed != nil); err != nil {
		return err
	}
	if b.board, err = openBoard(&b.policy.Global, b.resumed != nil); err != nil {
		return err
	}
	if b.delays, err = openDelays(b.policy); err != nil {
		return err
	}
	b.bans, err = openBans(b.policy, b.resumed != nil)
	return err
}

// listen opens the listeners of the configuration.
func (b *birth) listen(have []*listener) (err error) {
	if _, err := unit.ByLabel(b.inherited, labels(b.policy)); err != nil {
		return err
	}
	b.listeners, err = openListeners(b.policy, b.inherited, have)
	return err
}

// confine is the third step: the threads that start workers, each with no more
// rights than its children may have; then master's own filter and rights.
func (b *birth) confine() error {
	mode, err := sandbox.ParseMode(b.policy.Global.Sandbox)
	if err != nil {
		return err
	}
	b.kernel = sandbox.SelfTest()
	if err := b.kernel.Err(mode); err != nil {
		return err
	}
	if b.starters, err = newStarters(); err != nil {
		return err
	}
	if err := sandbox.Master(mode); err != nil {
		return err
	}
	return sandbox.TrimMaster()
}

// handlers is the fourth step: the log, the loop and what it reacts to.
func (b *birth) handlers(sig *signals) (*master, error) {
	log, err := logging.New(logging.Options{Version: version.Version})
	if err != nil {
		return nil, err
	}
	l, err := newLoop(monotonic)
	if err != nil {
		return nil, err
	}
	m := newMaster(b.opt, log, l)
	m.who, m.starters, m.inherited, m.listeners, m.board = b.who, b.starters, b.inherited, b.listeners, b.board
	m.delays = b.delays
	m.startDelays()
	m.bans = b.bans
	m.announceKernel(&b.kernel)
	m.roof = m.descriptorRoof()
	number, control := uint32(1), 0
	if b.resumed != nil {
		number, control = b.resumed.Number+1, b.resumed.Control
	}
	m.install(newGeneration(number, b.policy))
	m.logs.take(b.logs, b.policy)
	m.startBans()
	m.reloads.loaded = time.Now()
	m.signals = sig
	m.handleSignals()
	if err := m.startNotifying(); err != nil {
		return nil, err
	}
	if b.resumed != nil {
		m.restore(b.resumed)
	}
	if err := m.startControl(control); err != nil {
		if b.resumed == nil {
			return nil, err
		}
		m.log.Error("no control socket until the next start", logging.Error(err)) // no reason to lose the sessions
	}
	m.ensureCertificates(m.gen.policy, m.startAuthd)
	m.configureNetd(b.policy)
	m.pool.fill(m)
	return m, nil
}

// announceKernel logs what the kernel lacks, and what that means.
func (m *master) announceKernel(r *sandbox.Report) {
	for _, line := range r.Missing() {
		m.log.Warn(line, logging.Kind(logging.SelfTest))
	}
	for _, f := range r.Findings {
		if f.Name == "landlock" && f.OK {
			_, _ = fmt.Sscanf(f.Detail, "version %d", &m.landlock)
		}
	}
	if m.who.root {
		return
	}
	m.log.Warn("started without root: rootless mode, every user's files belong to one identity, virtual users only",
		logging.Kind(logging.SelfTest), "uid", os.Getuid())
}

// serve is the fifth step. A fresh start opens the house when authd has said
// that it can serve the configuration; after an upgrade clients wait already.
func (m *master) serve() error {
	defer m.cleanUp()
	if m.upgrades.done > 0 {
		m.begin()
	}
	if err := m.loop.run(); err != nil {
		return err
	}
	return m.failure
}

// firstAnswer is authd's word on the configuration that the daemon starts with.
// One that authd cannot serve is an error of the start, like any other in the
// file; later, and after an upgrade, there are sessions to look after, and
// logins that cannot be decided are refused.
func (m *master) firstAnswer(r *ipc.AuthdReady) {
	if r.OK || m.begun {
		m.begin()
		return
	}
	m.fail(fmt.Errorf("authd cannot serve this configuration: %s", strings.Join(r.Errors, "; ")))
}

// begin lets clients in. The line on standard output tells the start of the
// service, not that of a new version of it.
func (m *master) begin() {
	if m.begun || m.stopping {
		return
	}
	m.begun = true
	if err := m.watchListeners(); err != nil {
		m.fail(err)
		return
	}
	if m.upgrades.done == 0 {
		announce(readyLine(m.listeners))
	}
	m.log.Info("ready", logging.Kind(logging.Ready), "version", version.Version)
	m.tellReady()
}

// fail ends a start that cannot succeed.
func (m *master) fail(err error) {
	m.failure = err
	m.stop(0, err.Error())
}

// findLibexec returns the directory of the workers' binaries: that of master's
// own executable where session lies in it, else the one of the build.
func findLibexec() (string, error) {
	dir := libexec
	if self, err := os.Executable(); err == nil {
		if _, err := os.Stat(filepath.Join(filepath.Dir(self), "session")); err == nil {
			dir = filepath.Dir(self)
		}
	}
	for _, name := range []string{"session", "authd", "files"} {
		if err := unix.Access(filepath.Join(dir, name), unix.X_OK); err != nil {
			return "", fmt.Errorf("worker binary %q: %w", filepath.Join(dir, name), err)
		}
	}
	return dir, nil
}

// makeEmpty returns the empty directory below run_dir that sessions are locked
// into; root owns it and nobody may write there.
func makeEmpty(runDir string, root bool) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(runDir, &st); err != nil {
		return "", fmt.Errorf("run_dir %q: %w", runDir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return "", fmt.Errorf("run_dir %q: not a directory", runDir)
	}
	if root && (st.Uid != 0 || st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0) {
		return "", fmt.Errorf("run_dir %q: others than root may write there", runDir)
	}
	dir := filepath.Join(runDir, "empty")
	err := unix.Mkdir(dir, 0o555)
	if err == nil {
		err = unix.Chmod(dir, 0o555) // whatever the umask is
	}
	if err != nil && err != unix.EEXIST {
		return "", fmt.Errorf("directory %q: %w", dir, err)
	}
	if err := unix.Lstat(dir, &st); err != nil {
		return "", fmt.Errorf("directory %q: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o222&^0o200 != 0:
		return "", fmt.Errorf("directory %q: not a directory of the daemon's own", dir)
	case err != nil:
		return "", fmt.Errorf("directory %q: %w", dir, err)
	case len(entries) > 0:
		return "", fmt.Errorf("directory %q: not empty", dir)
	}
	return dir, nil
}

// makeState makes state_dir where only the last directory of its path is missing.
// Bans, the DelayTable and a certificate of the server's own would otherwise be
// lost without a word at the start.
func makeState(dir string) error {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	if err == unix.ENOENT {
		if err = unix.Mkdir(dir, 0o700); err == nil {
			err = unix.Stat(dir, &st)
		}
	}
	if err != nil {
		return fmt.Errorf("state_dir %q: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("state_dir %q: not a directory", dir)
	}
	return nil
}

// lockEmpty marks the directory as in use. Another instance may have the same
// run_dir: the one that ends must not take away what the other's sessions need.
func lockEmpty(dir string) (fd int, err error) {
	fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		if err = unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("directory %q: %w", dir, err)
	}
	return fd, nil
}

// removeEmpty removes the directory if nobody else uses it.
func (w *identities) removeEmpty() {
	if w.emptyLock > 0 && unix.Flock(w.emptyLock, unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = unix.Rmdir(w.empty)
	}
}
