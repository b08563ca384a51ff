package main

import (
	"errors"
	"io"
	"time"

	"sallyport/internal/auth"
	"sallyport/ipc"
)

// addNames serves names for ids to the files process of a session.
func (s *server) addNames(n *ipc.Names, fd int) {
	ss := s.sessions[n.Session]
	if ss == nil || len(ss.names) >= 4 {
		closeAll([]int{fd})
		return
	}
	ch := s.open(fd, ipc.FilesAuthd, peerQueue)
	ch.c.Limit(1000, time.Second)
	ch.message = func(m ipc.Message) { _ = ch.send(ss.lookNames(m.Body.(*ipc.NamesRequest))) }
	ch.gone = func(err error) {
		if !errors.Is(err, io.EOF) {
			s.log(logWarning, "session %d: names channel ended: %v", ss.id, err)
		}
	}
	ss.names = append(ss.names, ch)
}

// lookNames answers from the host's sources. Of users that only PAM knows, the
// one who is logged in is known here.
func (ss *session) lookNames(r *ipc.NamesRequest) *ipc.NamesReply {
	reply := &ipc.NamesReply{Users: make([]string, len(r.UIDs)), Groups: make([]string, len(r.GIDs))}
	a := ss.account
	if a == nil {
		a = &auth.Account{}
	}
	for i, uid := range r.UIDs {
		if uid == a.UID && a.User != "" {
			reply.Users[i] = a.User
		} else if ss.host != nil {
			reply.Users[i] = ss.host.UserName(uid)
		}
		reply.Users[i] = listed(reply.Users[i])
	}
	for i, gid := range r.GIDs {
		if ss.host != nil {
			reply.Groups[i] = ss.host.GroupName(gid)
		}
		if reply.Groups[i] == "" {
			reply.Groups[i] = ownGroup(a, gid)
		}
		reply.Groups[i] = listed(reply.Groups[i])
	}
	return reply
}

// listed drops a name too long for a listing, so that the longest answer fits
// into a message; the number is shown instead.
func listed(name string) string {
	if len(name) > 100 {
		return ""
	}
	return name
}

// ownGroup names a group of the account itself, where every one of them has a
// name, so that names and ids go in parallel.
func ownGroup(a *auth.Account, gid uint32) string {
	if len(a.GroupNames) != len(a.Groups)+1 {
		return ""
	}
	if gid == a.GID {
		return a.GroupNames[0]
	}
	for i, g := range a.Groups {
		if g == gid {
			return a.GroupNames[i+1]
		}
	}
	return ""
}
