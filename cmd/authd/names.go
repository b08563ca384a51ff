package main

import (
	"errors"
	"io"
	"slices"
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
	ch.message = func(m ipc.Message) {
		switch b := m.Body.(type) {
		case *ipc.NamesRequest:
			_ = ch.send(ss.lookNames(b))
		case *ipc.IDsRequest:
			_ = ch.send(ss.lookIDs(b))
		default:
			m.Close()
		}
	}
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

// lookIDs answers with the gids of group names, -1 where there is none.
func (ss *session) lookIDs(r *ipc.IDsRequest) *ipc.IDsReply {
	reply := &ipc.IDsReply{GIDs: make([]int64, len(r.Groups))}
	for i, name := range r.Groups {
		reply.GIDs[i] = -1
		if ss.host == nil {
			continue
		}
		if gid, ok := ss.host.GroupID(name); ok {
			reply.GIDs[i] = int64(gid)
		} else if gid, ok := ownID(ss.account, name); ok {
			reply.GIDs[i] = int64(gid)
		}
	}
	return reply
}

// ownID is the gid of a group of the account itself, which PAM may know alone.
func ownID(a *auth.Account, name string) (uint32, bool) {
	if a == nil || len(a.GroupNames) != len(a.Groups)+1 {
		return 0, false
	}
	i := slices.Index(a.GroupNames, name)
	switch {
	case i < 0:
		return 0, false
	case i == 0:
		return a.GID, true
	}
	return a.Groups[i-1], true
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
