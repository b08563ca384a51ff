package main

import (
	"fmt"

	"sallyport/internal/auth"
	"sallyport/ipc"
)

// pamPool bounds the PAM helpers at work; kept ones (session modules) are not
// counted, since they wait.
type pamPool struct {
	fair   fair
	limits limits
	busy   int
}

// pamWork is one attempt put to a PAM stack. done is called exactly once unless
// it is cancelled; ok is false where the stack could not be asked. A helper
// that stays is handed over by it.
type pamWork struct {
	job      job
	session  uint64
	request  ipc.PamRequest
	done     func(r *ipc.PamReply, kept *pamHelper, ok bool)
	helper   *pamHelper // once master has sent it
	deadline *timer
	settled  bool
}

// pamHelper is one helper process.
type pamHelper struct {
	ch *channel
}

// submitPam queues an attempt; false: too much waits.
func (s *server) submitPam(w *pamWork) bool {
	w.job.work = w
	if !s.pam.fair.push(&w.job) {
		return false
	}
	w.job.pushed = s.timers.now()
	w.deadline = s.timers.after(s.pam.limits.pamTime, func() {
		s.log(logError, "session %d: the PAM helper took longer than %v", w.session, s.pam.limits.pamTime)
		s.pamEnd(w, nil, nil, false)
	})
	s.dispatchPam()
	return true
}

func (s *server) dispatchPam() {
	for s.pam.busy < s.pam.limits.helpers {
		j := s.pam.fair.pop()
		if j == nil {
			return
		}
		s.pam.busy++
		w := j.work.(*pamWork)
		w.job.began = s.timers.now()
		if err := s.toMaster(&ipc.NeedPam{Session: w.session}); err != nil {
			s.pamEnd(w, nil, nil, false)
		}
	}
}

// pamStarted takes the helper that master started for a session.
func (s *server) pamStarted(m *ipc.PamHelper, fds []int) {
	w := s.pamWaiting(m.Session)
	switch {
	case w == nil: // cancelled meanwhile; the helper sees the end of its channel
		closeAll(fds)
	case len(fds) == 0:
		s.log(logError, "session %d: master could not start a PAM helper", m.Session)
		s.pamEnd(w, nil, nil, false)
	default:
		h := &pamHelper{ch: s.open(fds[0], ipc.AuthdPam, peerQueue)}
		w.helper = h
		h.ch.message = func(m ipc.Message) { s.pamReply(w, h, m.Body.(*ipc.PamReply)) }
		h.ch.gone = func(err error) {
			s.log(logError, "session %d: the PAM helper is gone without an answer: %v", w.session, err)
			s.pamEnd(w, nil, nil, false)
		}
		if err := h.ch.send(&w.request); err != nil {
			h.ch.close()
			s.pamEnd(w, nil, nil, false)
		}
	}
}

// pamWaiting returns the session's work that has no helper yet.
func (s *server) pamWaiting(id uint64) *pamWork {
	ss := s.sessions[id]
	if ss == nil || ss.try == nil || ss.try.pam == nil || !ss.try.pam.job.running || ss.try.pam.helper != nil {
		return nil
	}
	return ss.try.pam
}

func (s *server) pamReply(w *pamWork, h *pamHelper, r *ipc.PamReply) {
	h.ch.c.SetState(ipc.PamOpen)
	h.ch.gone = func(error) {}
	if r.OK && r.KeepOpen && !w.settled {
		s.pamEnd(w, r, h, true)
		return
	}
	h.end()
	s.pamEnd(w, r, nil, true)
}

// end closes a helper's PAM session, where it has one. It leaves by itself.
func (h *pamHelper) end() {
	if h == nil {
		return
	}
	if h.ch.c.State() == ipc.PamOpen {
		_ = h.ch.send(&ipc.PamClose{})
	}
	h.ch.close()
}

// pamEnd frees the place and tells the result once.
func (s *server) pamEnd(w *pamWork, r *ipc.PamReply, kept *pamHelper, ok bool) {
	s.timers.cancel(w.deadline)
	if kept == nil && w.helper != nil {
		w.helper.ch.close()
	}
	if w.job.running {
		s.pam.fair.done(&w.job)
		s.pam.busy--
	} else {
		s.pam.fair.cancel(&w.job)
	}
	w.request.Secret = nil
	if !w.settled {
		w.settled = true
		w.done(r, kept, ok)
	}
	s.dispatchPam()
}

// cancelPam forgets an attempt whose session is gone; its helper is cut off.
func (s *server) cancelPam(w *pamWork) {
	if w.settled {
		return
	}
	w.settled = true
	s.pamEnd(w, nil, nil, false)
}

// pamAnswer turns a helper's reply into what the decision wants. A stack that
// renames the user is not followed: limits and rules were asked for the name
// that was typed.
func pamAnswer(user string, r *ipc.PamReply) (auth.PamAnswer, error) {
	a := auth.PamAnswer{OK: r.OK, Declined: r.Declined, Reason: r.Reason, Known: r.Known, Paid: r.Paid}
	if !r.OK {
		if a.Reason == "" && !a.Declined {
			a.Reason = auth.ReasonPassword
		}
		return a, nil
	}
	if r.User != user {
		return auth.PamAnswer{Reason: auth.ReasonIdentity}, fmt.Errorf("the PAM stack turned user %q into %q, which is not followed", user, r.User)
	}
	a.Account = &auth.Account{
		User: user, UID: r.UID, GID: r.GID, Groups: r.Groups, GroupNames: r.GroupNames, Home: r.Home, Shell: r.Shell,
	}
	return a, nil
}
