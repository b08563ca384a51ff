package main

import (
	"errors"
	"time"

	"sallyport/internal/keys"
	"sallyport/ipc"
)

// signer is what one session may have signed. A signature stands for a
// handshake, and there are as many as master has made connections: one for the
// control connection, one for each data connection.
type signer struct {
	host    *keys.Host   // nil: no TLS
	offered []*keys.Pair // of the last TLSAsk; OfferedCertificate.ID is the place, from 1
	budget  int
	waiting *signWait
	signing bool // a signature that takes long is in the server's queue
	abuses  int

	client *keys.Client // the certificate that is believed
	asked  int          // certificates judged
}

// signWait is a request that came before master's word of the connection it is
// for: the two arrive on different channels.
type signWait struct {
	request *ipc.SignRequest
	timer   *timer
}

// Bounds of a session's handshakes.
const (
	// maxBudget is one connection in hand and one that master makes while the
	// former's handshake is given up.
	maxBudget  = 2
	maxAbuses  = 3
	maxClients = 4 // certificates to judge: one a handshake on the control connection
)

// offer answers TLSAsk with the host's certificates.
func (ss *session) offer() {
	ss.tls.offered = ss.tls.host.Offer()
	now := time.Now()
	reply := &ipc.TLSOffer{}
	for i, p := range ss.tls.offered {
		reply.Certificates = append(reply.Certificates, ipc.OfferedCertificate{ID: uint32(i + 1), Chain: p.Chain, Staple: p.Staple(now)})
	}
	if err := ss.ch.send(reply); err != nil && !ss.ch.dead {
		ss.s.log(logError, "session %d: the certificates cannot be offered: %v", ss.id, err)
		_ = ss.ch.send(&ipc.TLSOffer{})
	}
}

// sign answers SignRequest. Only a message of a handshake is signed, by a
// certificate that the session was offered, and as often as there are
// connections.
func (ss *session) sign(r *ipc.SignRequest) {
	if ss.tls.waiting != nil || ss.tls.signing {
		ss.violation("a second request for a signature before the answer")
		return
	}
	p := ss.pair(r.ID)
	if p == nil {
		ss.abuse("a certificate that was not offered")
		return
	}
	if err := p.Check(r.Scheme, r.Message); err != nil {
		ss.abuse(err.Error())
		return
	}
	if ss.tls.budget == 0 {
		w := &signWait{request: r}
		w.timer = ss.s.timers.after(ss.s.hash.limits.signTime, func() {
			ss.tls.waiting = nil
			ss.abuse("more signatures than connections")
		})
		ss.tls.waiting = w
		return
	}
	ss.tls.budget--
	if p.Quick() {
		ss.signed(p, r)
		return
	}
	ss.tls.signing = true
	ss.s.signs = append(ss.s.signs, func() {
		ss.tls.signing = false
		if !ss.ch.dead {
			ss.signed(p, r)
		}
	})
}

// signed makes the signature and answers with it.
func (ss *session) signed(p *keys.Pair, r *ipc.SignRequest) {
	sig, err := p.Sign(r.Scheme, r.Message)
	if err != nil {
		ss.s.log(logError, "session %d: %v", ss.id, err)
	} else {
		ss.protocol = ftps
	}
	_ = ss.ch.send(&ipc.SignReply{Signature: sig})
}

// ftps is the protocol of a session whose control connection is protected.
const ftps = "ftps"

func (ss *session) pair(id uint32) *keys.Pair {
	if id < 1 || int(id) > len(ss.tls.offered) {
		return nil
	}
	return ss.tls.offered[id-1]
}

// abuse refuses a signature that no honest session asks for. A session that
// goes on loses its channel.
func (ss *session) abuse(what string) {
	ss.tls.abuses++
	ss.s.log(logWarning, "session %d: signature refused: %s", ss.id, what)
	ss.event("SignerAbuse", what)
	_ = ss.ch.send(&ipc.SignReply{})
	if ss.tls.abuses >= maxAbuses && !ss.ch.dead {
		ss.violation("the signer was abused again and again")
	}
}

// event tells master what it may log, count and ban for.
func (ss *session) event(name, detail string) {
	_ = ss.s.toMaster(&ipc.AuthdEvent{Session: ss.id, Event: name, Detail: cut(detail, 256)})
}

// dataMade grants a signature for a data connection that master has made.
func (s *server) dataMade(d *ipc.DataMade) {
	ss := s.sessions[d.Session]
	if ss == nil {
		return
	}
	ss.tls.budget = min(ss.tls.budget+1, maxBudget)
	if w := ss.tls.waiting; w != nil {
		ss.tls.waiting = nil
		s.timers.cancel(w.timer)
		ss.sign(w.request)
	}
}

// judge answers ClientCertificate.
func (ss *session) judge(r *ipc.ClientCertificate) {
	if ss.tls.asked++; ss.tls.asked > maxClients {
		ss.violation("too many certificates to judge")
		return
	}
	reply := &ipc.ClientVerdict{}
	c, err := ss.tls.host.Client(r.Chain)
	reply.Subject = c.Subject
	if err != nil {
		ss.tls.client = nil
		ss.s.log(logWarning, "session %d: certificate of the client refused: %v", ss.id, err)
		ss.event("ClientCertificate", err.Error())
	} else {
		ss.tls.client = &c
		reply.OK, reply.User = true, c.User
		if c.Note != "" {
			ss.s.log(logNotice, "session %d: %s", ss.id, c.Note)
		}
	}
	_ = ss.ch.send(reply)
}

// rehost takes the facts of another host, or of another peer, before the login.
func (s *server) rehost(r *ipc.Rehost) {
	ss := s.sessions[r.Session]
	if ss == nil {
		return
	}
	switch {
	case ss.try != nil && ss.try.asked:
		ss.violation("another host was chosen during a login")
	case ss.try != nil && ss.try.timer != nil: // who waits for a verdict asks for nothing else
		ss.violation("another host was chosen before the verdict had left")
	case ss.account != nil || ss.ch.c.State() != ipc.AuthAsk:
		s.log(logError, "session %d: another host is named after the login", ss.id)
	default:
		ss.cancel()
		ss.tls.host, ss.tls.offered, ss.tls.client = s.tls.Host(r.TLS), nil, nil
		ss.place(r.Host, r.Peer)
	}
	_ = s.toMaster(&ipc.Rehosted{Session: ss.id})
}

// daily is how often the files are looked at, and the certificates told of,
// where nobody asks for them.
const daily = 24 * time.Hour

// watchCertificates tells master of the certificates, now and once a day.
func (s *server) watchCertificates() {
	s.timers.cancel(s.expiry)
	s.tls.Refresh()
	s.tellCertificates()
	s.expiry = s.timers.after(daily, s.watchCertificates)
}

func (s *server) tellCertificates() {
	const most, room = 256, 60000
	list := &ipc.Expiring{}
	size := 0
	for _, c := range s.tls.Certificates() {
		if size += len(c.File) + len(c.Subject) + 32; len(list.Certificates) == most || size > room || len(c.File) > 1024 {
			break
		}
		list.Certificates = append(list.Certificates, ipc.CertificateInfo{
			File: c.File, Subject: c.Subject, NotAfter: c.NotAfter.Unix(), Self: c.Self,
		})
	}
	err := s.toMaster(list)
	var bad *ipc.ProtocolError
	if errors.As(err, &bad) {
		s.log(logError, "the certificates cannot be told of: %v", err)
	}
}
