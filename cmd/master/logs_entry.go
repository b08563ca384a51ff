package main

import (
	"context"
	"log/slog"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

var background = context.Background()

// describe fills the entry of a record with master's own facts.
func (m *master) describe(s *session, r *ipc.Record, reason string, set *logSet) {
	c := s.c
	m.logs.entry = logging.Entry{
		Time: time.Now(), PID: s.pid, Peer: c.peer, Local: c.local, Host: c.host, ServerName: c.set.Session.ServerName,
		Class: c.class, User: s.user, Group: s.logs.group, UID: s.uid, GID: s.logs.gid, Open: s.open,
		Anonymous: s.anonymous != 0, Root: s.logs.root, Reason: reason, Rec: r,
	}
	if s.anonymous != 0 {
		r.Secret = s.email
	}
	if r.Class == policy.LogExit || r.Named == "" && s.open { // the session does not say
		r.Named = s.claimed()
	}
	if set.totals {
		m.logs.entry.In, m.logs.entry.Out = s.totals()
	}
}

// claimed is what USER named last, as far as it came to a login.
func (s *session) claimed() string {
	switch {
	case s.named != "":
		return s.named
	case s.user != "":
		return s.user
	}
	return s.tried
}

// totals is what the session has moved: over data connections by its own word,
// over the control connection by the kernel's.
func (s *session) totals() (in, out uint64) {
	in, out = s.page.Moved()
	if t, err := unix.GetsockoptTCPInfo(s.c.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		in += t.Bytes_received
		out += t.Bytes_sent - min(t.Bytes_retrans, t.Bytes_sent)
	}
	return in, out
}

// unfinished is the record of the transfer that a session was in when it ended,
// by its last progress report; nil: it was in none.
func (s *session) unfinished(now int64) *ipc.Record {
	v, ok := s.page.Snapshot()
	if !ok || !s.open || v.State != shm.StateUploading && v.State != shm.StateDownloading {
		return nil
	}
	r := &ipc.Record{
		Verb: v.Verb, Arg: v.Arg, Cwd: v.Dir, Path: v.Arg, Transfer: true, Status: "cancelled", Failure: "the session ended",
		Size: v.Size, Took: max(now-v.Since, 0), Nanos: max(now-v.Since, 0), Protocol: "ftp",
	}
	if !path.IsAbs(r.Path) {
		r.Path = v.Dir + "/" + v.Arg
	}
	r.Path = path.Clean("/" + r.Path)
	if v.TLS {
		r.Protocol = "ftps"
	}
	if v.State == shm.StateUploading {
		r.Class, r.Way, r.Received = policy.LogWrite, "i", v.Done
	} else {
		r.Class, r.Way, r.Sent = policy.LogRead, "o", v.Done
	}
	return r
}

// transferDone is the line of a transfer in the daemon's own log.
func (m *master) transferDone(s *session, e *logging.Entry, level slog.Level) {
	r := e.Rec
	way := map[string]string{"i": "in", "o": "out", "d": "delete"}[r.Way]
	status := r.Status
	if r.Way == "d" {
		status = "success"
	}
	m.log.Log(background, level, "transfer "+status, append(s.facts(), logging.Kind(logging.TransferDone),
		"dir", way, "bytes", e.Moved(), "offset", max(r.Offset, 0), "path", r.Path, "realpath", e.HostPath(r.Path),
		"status", status, "ascii", r.ASCII, "seconds", time.Duration(max(r.Took, 0)).Seconds(), "proto", e.Service())...)
}
