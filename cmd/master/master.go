package main

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/internal/unit"
	"sallyport/shm"
)

// master is the state of the daemon. Every field is the loop's: it is read and
// changed by functions that run on the loop, and by nobody else.
type master struct {
	opt       *options
	log       *logging.Log
	loop      *loop
	who       identities
	starters  starters
	inherited []unit.Socket
	listeners []*listener
	gen       *generation

	nextID   uint64
	clients  map[uint64]*client
	sessions map[uint64]*session // those with a client
	children map[int]*child
	waiting  []*client // have spoken, wait for a session
	busy     map[portKey]bool
	dynamic  policy.Passive // what the kernel hands out, where there is no range

	census   census
	places   places
	certs    certificates
	lookUp   func(name string) (netip.Addr, bool) // what a name of the configuration resolves to
	rate     bucket
	refusals refusals
	pool     pool
	authd    authdSupervisor
	oldAuthd map[int]*authd // of an earlier image, by pid
	netd     netdSupervisor
	board    *shm.Board
	delays   *delayTable
	bans     *bans
	resume   timer // accept again
	systemd  manager
	reloads  reloads
	upgrades upgrades
	control  *control.Server
	tracer   *logging.Tracer
	logs     logs
	signals  *signals
	landlock int // ABI

	roof      int // descriptors from here on are kept for those who are served
	started   time.Time
	spawning  int   // starts under way
	begun     bool  // clients are let in
	failure   error // why the start has failed
	stopping  bool
	dismissed bool // the last client has gone: authd is told to go, too
	graceEnd  timer
	sweep     timer
	scratch   []byte
}

func newMaster(opt *options, log *logging.Log, l *loop) *master {
	m := &master{
		opt: opt, log: log, loop: l,
		clients: map[uint64]*client{}, sessions: map[uint64]*session{}, children: map[int]*child{},
		busy: map[portKey]bool{}, dynamic: dynamicPorts(), oldAuthd: map[int]*authd{},
		census: newCensus(), places: newPlaces(), refusals: refusals{}, started: time.Now(),
		roof: math.MaxInt, tracer: logging.NewTracer(log.Logger, traceAccept, traceAuthd, traceData, traceDelay, traceLogin, tracePool, traceSession),
	}
	m.lookUp = func(name string) (netip.Addr, bool) { return m.resolved(name, true) }
	m.bans = &bans{}
	m.netd.restart.fn = m.startNetd
	m.logs = logs{files: logging.NewFiles(log.Logger), compiled: map[*policy.Log]*logSet{}}
	m.resume.fn = m.resumeAccept
	m.pool.refill.fn = func() { m.pool.fill(m) }
	m.pool.shrink.fn = func() { m.pool.relax(m) }
	m.authd.restart.fn = m.startAuthd
	return m
}

// install puts a configuration in force.
func (m *master) install(g *generation) {
	old := m.gen
	m.gen = g
	r := g.policy.Global.ConnectionRate
	m.rate = newBucket(r.Count, time.Duration(r.Nanos), m.loop.now)
	if old != nil {
		old.retire()
	}
}

// announce prints the one line that says where the daemon serves: to standard
// output, and to standard error where that is another file.
func announce(line string) {
	fmt.Fprintln(os.Stdout, line)
	if !sameFile(os.Stdout, os.Stderr) {
		fmt.Fprintln(os.Stderr, line)
	}
}

func sameFile(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
