package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/keys"
	"sallyport/ipc"
	"sallyport/shm"
)

// server is authd: one epoll loop on one goroutine. Nothing in it blocks; what
// takes long happens in hash workers and PAM helpers.
type server struct {
	ep       int
	channels map[int32]*channel
	next     int32 // generation of the next channel, so that a stale event hits nobody
	timers   timers
	stop     error // why the loop ends

	master   *channel
	etc      string // where PAM and libc have their files
	hosts    map[string]*auth.Host
	tls      *keys.Set
	signs    []func() // signatures that take long, oldest first: one a turn of the loop
	expiry   *timer   // the next daily look at the certificates
	sessions map[uint64]*session
	hash     hashPool
	pam      pamPool
	delays   delays
	bans     *shm.BanView // nil: no bans
	voice    voice
}

// limits of the work that waits and runs.
type limits struct {
	running   int // of one network (IPv4 address, IPv6 /64)
	waiting   int // of one network
	queue     int // waiting in all
	parked    int // attempts in hand in all, answers that wait for their moment included
	parkedNet int // of one network
	helpers   int // PAM helpers at work in all
	hashTime  time.Duration
	pamTime   time.Duration
	askTime   time.Duration // how long master may take for its part of a login
	signTime  time.Duration // how long master's word of a data connection may be behind the session's
}

var defaultLimits = limits{
	running: 2, waiting: 8, queue: 1024, helpers: 16, parked: 4096, parkedNet: 64,
	hashTime: 30 * time.Second, pamTime: 60 * time.Second, askTime: 60 * time.Second,
	signTime: 2 * time.Second,
}

// Bounds of the queues towards peers, in messages.
const (
	masterQueue = 8192
	peerQueue   = 4
	batch       = 16 // messages taken from one channel before the others' turn
)

func newServer(master int, l limits) (*server, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	s := &server{
		ep: ep, etc: "/etc", channels: make(map[int32]*channel), sessions: make(map[uint64]*session),
		hash: hashPool{fair: newFair(l), limits: l}, pam: pamPool{fair: newFair(l), limits: l}, delays: newDelays(),
	}
	s.master = s.open(master, ipc.MasterAuthd, masterQueue)
	s.master.message = s.fromMaster
	s.master.gone = func(err error) {
		s.stop = err
		if errors.Is(err, io.EOF) {
			s.stop = io.EOF
		}
	}
	return s, nil
}

// run turns the loop until master is gone, which is the ordinary end.
func (s *server) run() error {
	events := make([]unix.EpollEvent, 64)
	for s.stop == nil {
		if err := s.turn(events); err != nil {
			return err
		}
	}
	s.close()
	if s.stop == io.EOF {
		return nil
	}
	return s.stop
}

// turn takes what has come, and makes one signature of those that take long.
func (s *server) turn(events []unix.EpollEvent) error {
	timeout := s.timers.wait(time.Now())
	if len(s.signs) > 0 {
		timeout = 0
	}
	n, err := unix.EpollWait(s.ep, events, timeout)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, e := range events[:max(n, 0)] {
		if ch := s.channels[e.Fd]; ch != nil && ch.generation == e.Pad {
			ch.ready(e.Events)
		}
	}
	s.timers.run(time.Now())
	if len(s.signs) > 0 {
		next := s.signs[0]
		s.signs = s.signs[1:]
		next()
	}
	return nil
}

func (s *server) close() {
	for _, ch := range s.channels {
		ch.close()
	}
	unix.Close(s.ep)
}

// channel is one peer. message takes what is valid; gone is called once, when
// the peer left, broke the dialogue or does not read, with the channel closed.
type channel struct {
	s          *server
	c          *ipc.Conn
	q          *ipc.Queue
	fd         int32
	generation int32
	interest   uint32
	dead       bool
	message    func(ipc.Message)
	gone       func(error)
}

// open adds a channel to the loop. It owns fd.
func (s *server) open(fd int, d *ipc.Dialogue, queue int) *channel {
	c := ipc.New(fd, d, ipc.Authd)
	s.next++
	ch := &channel{
		s: s, c: c, q: ipc.NewQueue(c, queue), fd: int32(fd), generation: s.next,
		interest: unix.EPOLLIN, gone: func(error) {}, message: func(m ipc.Message) { m.Close() },
	}
	s.channels[ch.fd] = ch
	e := unix.EpollEvent{Events: ch.interest, Fd: ch.fd, Pad: ch.generation}
	if err := unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		s.stop = fmt.Errorf("epoll_ctl: %w", err)
	}
	return ch
}

func (ch *channel) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		if err := ch.q.Flush(); err != nil {
			ch.end(err)
			return
		}
		ch.rearm()
	}
	for i := 0; i < batch && !ch.dead && events&^uint32(unix.EPOLLOUT) != 0; i++ {
		m, err := ch.c.TryRecv()
		if err == ipc.ErrAgain {
			return
		}
		if err != nil {
			ch.end(err)
			return
		}
		ch.message(m)
	}
}

// send sends now or queues. An error has ended the channel, except one of
// encoding (*ipc.ProtocolError), which is the caller's to handle.
func (ch *channel) send(body any, fds ...int) error {
	if ch == nil || ch.dead {
		return io.EOF
	}
	err := ch.q.Send(body, fds...)
	var bad *ipc.ProtocolError
	if err != nil && !errors.As(err, &bad) {
		ch.end(err)
		return err
	}
	ch.rearm()
	return err
}

func (ch *channel) rearm() {
	want := uint32(unix.EPOLLIN)
	if ch.q.Waiting() {
		want |= unix.EPOLLOUT
	}
	if want == ch.interest || ch.dead {
		return
	}
	ch.interest = want
	e := unix.EpollEvent{Events: want, Fd: ch.fd, Pad: ch.generation}
	if err := unix.EpollCtl(ch.s.ep, unix.EPOLL_CTL_MOD, int(ch.fd), &e); err != nil {
		ch.s.stop = fmt.Errorf("epoll_ctl: %w", err)
	}
}

// close forgets the channel without a word. It may be called more than once,
// and on nil.
func (ch *channel) close() {
	if ch == nil || ch.dead {
		return
	}
	ch.dead = true
	ch.q.Drop()
	delete(ch.s.channels, ch.fd)
	ch.c.Close()
}

func (ch *channel) end(err error) {
	if ch.dead {
		return
	}
	ch.close()
	ch.gone(err)
}
