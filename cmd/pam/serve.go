//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// maxGroups bounds a user's groups, as the dialogue does.
const maxGroups = 1000

// serve answers the one request and, where the handle is kept, waits for its
// end. dir is where the service files are. An attempt that could not be put to
// the stack at all is not answered: authd takes the end of the channel for an
// outage, not for a wrong password.
func serve(c *ipc.Conn, dir string) error {
	m, err := c.Recv()
	if errors.Is(err, io.EOF) {
		return nil // the session left before its turn
	}
	if err != nil {
		return err
	}
	r := m.Body.(*ipc.PamRequest)
	sessions, err := stackHas(dir, r.Service, "session")
	if err != nil {
		return err
	}
	rest, err := watch(c.FD())
	if err != nil {
		return err
	}
	h, reply, err := attempt(r, sessions)
	clear(r.Secret)
	rest()
	if err != nil {
		return err
	}
	if err := c.Send(reply); err != nil || !reply.KeepOpen {
		h.end()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	c.SetState(ipc.PamOpen)
	_, err = c.Recv() // PamClose, or the end of authd
	h.end()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// attempt runs the stack. The handle is nil unless the reply is a success.
func attempt(r *ipc.PamRequest, sessions bool) (*handle, *ipc.PamReply, error) {
	h, err := start(r)
	if err != nil {
		return nil, nil, err
	}
	reply, err := h.login(r, sessions)
	if err == nil && !reply.OK && r.Decoy != "" {
		reply.Paid = burn(r.Secret, r.Decoy)
	}
	if err != nil || !reply.OK {
		h.end()
		return nil, reply, err
	}
	return h, reply, nil
}

// login: authenticate, account, credentials, session; whoever says no ends it.
// Who is proven already is not asked for a password.
func (h *handle) login(r *ipc.PamRequest, sessions bool) (*ipc.PamReply, error) {
	for _, step := range []struct {
		do   func() int
		skip bool
	}{
		{func() int { return h.authenticate(r.AllowEmpty) }, r.Proven},
		{h.account, false},
		{h.establish, false},
		{h.openSession, !sessions},
	} {
		if step.skip {
			continue
		}
		if code := step.do(); code != 0 {
			return refusal(r.User, code)
		}
	}
	reply := &ipc.PamReply{OK: true, User: h.user(), KeepOpen: h.sessionOpen}
	if err := lookup(reply); err != nil {
		return nil, err
	}
	return reply, nil
}

// refusal explains a code. Common stacks end in pam_deny and do not say that a
// user is unknown, so libc is asked: another source may know him.
func refusal(user string, code int) (*ipc.PamReply, error) {
	who := ipc.PamReply{User: user}
	if err := lookup(&who); err != nil {
		return nil, err
	}
	reply := &ipc.PamReply{User: user, Reason: reason(code), Declined: !who.Known}
	if reply.Declined {
		reply.Reason = reason(userUnknown)
	}
	return reply, nil
}

// watch leaves the process as soon as the peer hangs up, whatever a module is
// doing at that moment. The returned function ends the watch.
func watch(fd int) (rest func(), err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(p[0]), Events: unix.POLLIN}}
			_, err := unix.Poll(fds, -1)
			if err == unix.EINTR {
				continue
			}
			if err != nil || fds[1].Revents != 0 {
				return
			}
			os.Exit(0)
		}
	}()
	return func() {
		unix.Close(p[1])
		<-done
		unix.Close(p[0])
	}, nil
}
