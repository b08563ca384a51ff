package main

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/ban"
	"sallyport/ipc"
	"sallyport/shm"
)

// reasonBanned is the reason of a refused attempt for the log.
const reasonBanned = "banned"

// takeBans takes the ban table that master shares, in place of a former one.
func (s *server) takeBans(fd int) {
	defer unix.Close(fd)
	v, err := shm.OpenBanView(fd)
	if err != nil {
		s.log(logError, "the ban table cannot be used, nobody is refused by his name: %v", err)
		return
	}
	if s.bans != nil {
		s.bans.Close()
	}
	s.bans = v
}

// banned tells whether a name, as the client has typed it, is banned: everywhere
// or at the client's address.
func (ss *session) banned(name string) bool {
	v, p := ss.s.bans, &ss.host.Policy
	if v == nil || !p.BanEngine {
		return false
	}
	return bannedIn(v, v.HostID(p.BanHost), name, ss.peer, time.Now().UnixNano())
}

func bannedIn(v *shm.BanView, host uint64, name string, peer netip.Addr, now int64) bool {
	if name == "" || len(name) > ban.MaxName {
		return false
	}
	if _, ok := v.Name(ban.User, name, host, now); ok {
		return true
	}
	if !peer.IsValid() {
		return false
	}
	_, ok := v.Name(ban.UserAt, ban.At(name, peer), host, now)
	return ok
}

// judgeBans makes an attempt of a banned name one that fails, at the cost that
// every failure has; nobody looks at its password. Attempts for root are told
// of, whatever becomes of them.
func (ss *session) judgeBans(t *try) {
	if t.attempt.Root() {
		ss.banEvent("RootLogin", "login attempt for an account with uid 0", t.user)
	}
	if ss.banned(t.user) {
		t.attempt.Refuse(reasonBanned)
	}
}

// failureEvent tells master of refusals that are events of their own.
func (ss *session) failureEvent(reason, user string) {
	switch reason {
	case auth.ReasonNoUser:
		ss.banEvent("UnknownUser", reason, user)
	case auth.ReasonRejected:
		ss.banEvent("AnonRejectPasswords", reason, user)
	}
}

// banEvent tells master of an event, where bans may come of it.
func (ss *session) banEvent(event, detail, user string) {
	if ss.host.Policy.BanEngine {
		_ = ss.s.toMaster(&ipc.AuthdEvent{Session: ss.id, Event: event, Detail: detail, User: cut(user, 256)})
	}
}

// failureAnswered tells master that the answer to a failed attempt has left.
func (ss *session) failureAnswered(v uint8) {
	if ss.host != nil && ss.host.Policy.BanEngine && (v == ipc.VerdictDenied || v == ipc.VerdictLast || v == ipc.VerdictRefused) {
		_ = ss.s.toMaster(&ipc.LoginAnswered{Session: ss.id})
	}
}
