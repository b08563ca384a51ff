package main

import (
	"time"

	"sallyport/ipc"
)

// hashPool is the hash workers and the work for them.
type hashPool struct {
	fair    fair
	limits  limits
	workers []*hashWorker
	id      uint32
	asked   *timer // a NeedHash was sent within the last second
	missing int    // workers to ask for after that
}

type hashWorker struct {
	ch   *channel
	work *hashWork // nil: idle
}

// hashWork is one hash to compute. done is called exactly once unless it is
// cancelled: with ok false where no worker could tell.
type hashWork struct {
	job      job
	id       uint32
	request  ipc.HashRequest // Secret is the attempt's
	done     func(match, ok bool)
	worker   *hashWorker
	deadline *timer
	settled  bool
	again    bool // its first worker has died
}

// submitHash queues a hash; false: too much waits.
func (s *server) submitHash(w *hashWork) bool {
	w.job.work = w
	if !s.hash.fair.push(&w.job) {
		return false
	}
	s.hash.id++
	w.id = s.hash.id
	w.request.ID = w.id
	w.job.pushed = s.timers.now()
	w.deadline = s.timers.after(s.hash.limits.hashTime, func() { s.hashLate(w) })
	s.dispatchHash()
	return true
}

// dispatchHash gives work to idle workers.
func (s *server) dispatchHash() {
	for {
		idle := s.idleWorker()
		if idle == nil {
			if len(s.hash.workers) == 0 && s.hash.fair.total > 0 && s.hash.missing == 0 && s.hash.asked == nil {
				s.needHash()
			}
			return
		}
		j := s.hash.fair.pop()
		if j == nil {
			return
		}
		w := j.work.(*hashWork)
		w.job.began = s.timers.now()
		idle.work, w.worker = w, idle
		if err := idle.ch.send(&w.request); err != nil {
			s.loseWorker(idle) // a request that cannot be encoded included
		}
	}
}

func (s *server) idleWorker() *hashWorker {
	for _, w := range s.hash.workers {
		if w.work == nil {
			return w
		}
	}
	return nil
}

// addWorker takes a worker that master has started.
func (s *server) addWorker(fd int) {
	hw := &hashWorker{ch: s.open(fd, ipc.AuthdHash, peerQueue)}
	hw.ch.message = func(m ipc.Message) { s.hashReply(hw, m.Body.(*ipc.HashReply)) }
	hw.ch.gone = func(err error) {
		s.log(logWarning, "a hash worker is gone: %v", err)
		if w := hw.work; w != nil && !s.again(w) {
			s.loseWorker(hw)
			return
		}
		hw.work = nil
		s.loseWorker(hw)
	}
	s.hash.workers = append(s.hash.workers, hw)
	s.dispatchHash()
}

func (s *server) hashReply(hw *hashWorker, r *ipc.HashReply) {
	w := hw.work
	if w == nil || w.id != r.ID {
		s.log(logError, "a hash worker answered what it was not asked")
		s.loseWorker(hw)
		return
	}
	hw.work = nil
	s.hash.fair.done(&w.job)
	if r.Error != "" {
		s.log(logWarning, "a hash worker refused a stored hash: %s", r.Error)
	}
	s.settle(w, r.Match && r.Error == "", true)
	s.dispatchHash()
}

// settle tells the result once.
func (s *server) settle(w *hashWork, match, ok bool) {
	s.timers.cancel(w.deadline)
	if w.settled {
		return
	}
	w.settled = true
	w.request.Secret = nil
	w.done(match, ok)
}

// hashLate ends work past its deadline; a worker that is at it is given up.
func (s *server) hashLate(w *hashWork) {
	if w.worker != nil && w.worker.work == w {
		s.log(logError, "a hash took longer than %v; its worker is given up", s.hash.limits.hashTime)
		s.loseWorker(w.worker)
		return
	}
	s.hash.fair.cancel(&w.job)
	s.settle(w, false, false)
}

// cancelHash forgets work whose session is gone. A hash that is being computed
// cannot be stopped and keeps its place until its worker answers.
func (s *server) cancelHash(w *hashWork) {
	w.settled = true
	if w.worker == nil {
		s.timers.cancel(w.deadline)
		w.request.Secret = nil
		s.hash.fair.cancel(&w.job)
	}
}

// loseWorker drops a worker, fails its work and asks for another.
func (s *server) loseWorker(hw *hashWorker) {
	hw.ch.close()
	for i, x := range s.hash.workers {
		if x == hw {
			s.hash.workers = append(s.hash.workers[:i], s.hash.workers[i+1:]...)
			s.needHash()
			break
		}
	}
	if w := hw.work; w != nil {
		hw.work = nil
		s.hash.fair.done(&w.job)
		s.settle(w, false, false)
	}
	s.dispatchHash()
}

// again puts the work of a worker that has died back, once: it was not the
// client's fault. Work that has lost two workers may be what kills them.
func (s *server) again(w *hashWork) bool {
	s.hash.fair.done(&w.job)
	if w.again || w.settled || !s.hash.fair.push(&w.job) {
		return false
	}
	w.again, w.worker = true, nil
	return true
}

// needHash asks master for a worker in place of a lost one, at most one a second.
func (s *server) needHash() {
	s.hash.missing = min(s.hash.missing+1, maxMissing)
	s.askHash()
}

// maxMissing bounds the workers that are asked for.
const maxMissing = 64

func (s *server) askHash() {
	if s.hash.asked != nil || s.hash.missing == 0 {
		return
	}
	s.hash.missing--
	_ = s.toMaster(&ipc.NeedHash{})
	s.hash.asked = s.timers.after(time.Second, func() {
		s.hash.asked = nil
		if s.hash.fair.total > 0 && len(s.hash.workers) == 0 && s.hash.missing == 0 {
			s.hash.missing = 1 // the last one asked for has not come
		}
		s.askHash()
	})
}
