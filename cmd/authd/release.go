package main

import "sallyport/ipc"

// answer parks a verdict until its moment. Every verdict passes here, so that
// the moment can be chosen without looking at what the verdict is.
func (ss *session) answer(reply ipc.AuthReply) {
	t := ss.try
	t.kept.end() // a refused attempt keeps no PAM session
	t.kept = nil
	t.timer = ss.s.timers.at(ss.moment(t, reply.Verdict != ipc.VerdictOK), func() { ss.s.release(ss, reply) })
}

// release tells the verdict: of a success master first, so that it knows
// before the session asks for its files. All but a denial ends the dialogue.
func (s *server) release(ss *session, reply ipc.AuthReply) {
	ss.finish(ss.try)
	ss.try = nil
	if reply.Verdict != ipc.VerdictDenied {
		ss.ch.c.SetState(ipc.AuthClosed)
	}
	if reply.Verdict == ipc.VerdictOK {
		if s.toMaster(&ipc.Released{Session: ss.id}) != nil {
			return
		}
	}
	_ = ss.ch.send(&reply)
	ss.failureAnswered(reply.Verdict)
}
