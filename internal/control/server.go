package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// Limits of the server.
const (
	maxClients   = 16              // at once
	ownClients   = 4               // of these kept for the owner
	requestTime  = 5 * time.Second // until the request is there
	answerTime   = 10 * time.Second
	longTime     = 60 * time.Second // for reload and upgrade
	writeTime    = 10 * time.Second
	closeTime    = time.Second // for answers in hand when the server closes
	refusalEvery = time.Second // one log line for refusals of a uid
)

// handoverTime is for those that an upgrade in place finds accepted.
var handoverTime = 300 * time.Millisecond

// Options say what a Server serves.
type Options struct {
	Control policy.Control
	Workers []string // users the daemon's workers run as: refused even if a rule lists them
	Backend Backend
	Version string
	Log     *slog.Logger
	Names   Lookup // nil: SystemNames
	Inherit int    // descriptor from Handover of the former image; 0: make the socket
}

// Server serves the control socket on goroutines of its own.
type Server struct {
	opt     Options
	acl     atomic.Pointer[ACL]
	l       *listener
	refused *logging.Limiter
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup // accept loop and clients
	slots   atomic.Int32
}

// Serve makes the socket and begins to answer. With Control.Engine off there is
// no server: it returns nil, and a nil Server's methods do nothing.
func Serve(o Options) (*Server, error) {
	if !o.Control.Engine {
		if o.Inherit > 0 {
			unix.Close(o.Inherit)
		}
		return nil, nil
	}
	if o.Names == nil {
		o.Names = SystemNames{}
	}
	s := &Server{opt: o, refused: logging.NewLimiter(o.Log, refusalEvery, 64)}
	acl, err := s.compile(o.Control)
	if err != nil {
		return nil, err
	}
	s.acl.Store(acl)
	if o.Inherit > 0 {
		s.l, err = adopt(o.Control.Socket, o.Inherit)
	} else {
		s.l, err = listen(o.Control.Socket, socketGroup(acl))
	}
	if err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

func (s *Server) compile(c policy.Control) (*ACL, error) {
	acl, warnings, err := NewACL(c, uint32(os.Geteuid()), s.opt.Workers, s.opt.Names)
	for _, w := range warnings {
		s.opt.Log.Warn(w)
	}
	return acl, err
}

// socketGroup is the group that may connect: that of the block, if there is one
// and the daemon may give files to it.
func socketGroup(a *ACL) int {
	if !a.grouped {
		return -1
	}
	if os.Geteuid() != 0 {
		own, err := os.Getgroups()
		if err != nil {
			return -1
		}
		for _, g := range append(own, os.Getegid()) {
			if g == int(a.gid) {
				return g
			}
		}
		return -1
	}
	return int(a.gid)
}

// Configure swaps in the rules of a reloaded configuration. Engine, Socket and
// Group are those of the start of the daemon: a change of them is an error that
// changes nothing.
func (s *Server) Configure(c policy.Control) error {
	var old policy.Control
	if s != nil {
		old = s.opt.Control
	}
	if c.Engine != old.Engine || s != nil && (c.Socket != old.Socket || c.Group != old.Group) {
		return errors.New("control: engine, socket and group change with a restart only")
	}
	if s == nil {
		return nil
	}
	acl, err := s.compile(c)
	if err == nil {
		s.acl.Store(acl)
	}
	return err
}

// Close stops listening, gives answers in hand a second to be written, and
// removes the socket. Calls of the Backend that still run see their context end.
func (s *Server) Close() {
	if s == nil {
		return
	}
	s.l.remove()
	_ = s.l.Close()
	s.drain()
}

// Handover is Close for an upgrade in place: the socket keeps listening, its
// clients wait, who has been accepted is answered if that takes no longer than
// handoverTime, and the descriptor (close-on-exec: a worker that starts meanwhile
// must not get it) is for Options.Inherit of the next image.
func (s *Server) Handover() (fd int, err error) {
	if s == nil {
		return 0, nil
	}
	fd, err = s.l.dup()
	if err != nil {
		return 0, fmt.Errorf("hand over the control socket: %w", err)
	}
	_ = s.l.Close()
	s.rest(handoverTime)
	s.drain()
	return fd, nil
}

func (s *Server) drain() {
	s.cancel()
	s.rest(closeTime)
}

// rest waits until nobody is served, d at most.
func (s *Server) rest(d time.Duration) {
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}

func (s *Server) accept() {
	for {
		c, err := s.l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: they come back
			s.refused.Log(slog.LevelError, "accept", "accept on the control socket", logging.Error(err))
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		s.wg.Go(func() {
			defer func() { _ = c.Close() }()
			s.client(c)
		})
	}
}

// client serves one connection, from the peer's credentials to the answer.
func (s *Server) client(c *net.UnixConn) {
	n := s.slots.Add(1)
	defer s.slots.Add(-1)
	stop := context.AfterFunc(s.ctx, func() { _ = c.SetReadDeadline(time.Now()) })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(requestTime))

	peer, err := credentials(c)
	if err != nil {
		s.refused.Log(slog.LevelError, "credentials", "control client refused", logging.Error(err))
		return
	}
	acl := s.acl.Load()
	if acl.worker(&peer) || !acl.owns(&peer) && childOf(peer.PID, os.Getpid()) {
		s.refused.Log(slog.LevelWarn, fmt.Sprint("worker ", peer.UID), "a worker process connected to the control socket",
			append(peerAttrs(&peer), logging.Kind(logging.SecurityViolation))...)
		s.answer(c, &Response{Code: CodeDenied, Error: "access denied"})
		return
	}
	if n > maxClients || n > maxClients-ownClients && !acl.owns(&peer) {
		s.answer(c, &Response{Code: CodeInternal, Error: "too many control clients, try again"})
		return
	}
	body, err := readFrame(c, MaxRequest)
	if errors.Is(err, errFrame) {
		s.answer(c, &Response{Code: CodeParameters, Error: err.Error()})
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			s.opt.Log.Info("control client left without a request", append(anyAttrs(&peer), logging.Error(err))...)
		}
		return
	}
	s.answer(c, s.serve(acl, &peer, body))
}

func credentials(c *net.UnixConn) (p Peer, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return p, err
	}
	if e := raw.Control(func(fd uintptr) { p, err = peerOf(int(fd)) }); e != nil {
		return p, e
	}
	return p, err
}

func (s *Server) answer(c *net.UnixConn, r *Response) {
	r.Version = Version
	_ = c.SetWriteDeadline(time.Now().Add(writeTime))
	if err := writeFrame(c, r, MaxResponse); err != nil {
		s.opt.Log.Warn("control answer not sent", logging.Error(err))
	}
}

// serve decides and carries out one request, and writes the audit record.
func (s *Server) serve(acl *ACL, peer *Peer, body []byte) *Response {
	req, args, err := decodeRequest(body)
	if req == nil {
		return &Response{Code: CodeParameters, Error: err.Error()}
	}
	if !acl.Allows(peer, req.Action) { // before anything is told about the request
		s.refused.Log(logging.LevelNotice, fmt.Sprint("denied ", peer.UID), "control request denied",
			append(peerAttrs(peer), slog.String("action", req.Action), logging.Kind(logging.ControlDenied))...)
		return &Response{Code: CodeDenied, Error: "access denied"}
	}
	var result any
	if err == nil {
		limit := answerTime
		if req.Action == ActionReload || req.Action == ActionUpgrade {
			limit = longTime
		}
		ctx, cancel := context.WithTimeout(s.ctx, limit)
		result, err = s.act(ctx, peer, req.Action, args)
		cancel()
	}
	resp := &Response{Code: codeOf(err)}
	if err != nil {
		resp.Error = err.Error()
	}
	if result != nil {
		if resp.Result, err = json.Marshal(result); err != nil {
			return &Response{Code: CodeInternal, Error: "the result cannot be encoded"}
		}
		if len(resp.Result) > MaxResponse-4096 {
			return &Response{Code: CodeInternal, Error: fmt.Sprintf("the result has %d bytes: too many", len(resp.Result))}
		}
	}
	s.audit(peer, req, resp)
	return resp
}

// act calls the backend. args has been validated.
func (s *Server) act(ctx context.Context, peer *Peer, action string, args any) (any, error) {
	b := s.opt.Backend
	switch action {
	case ActionStatus:
		return result(b.Status(ctx))
	case ActionWho:
		l, err := b.Who(ctx)
		if l == nil {
			l = []SessionInfo{}
		}
		return result(WhoResult{l}, err)
	case ActionKick:
		return result(b.Kick(ctx, *args.(*KickRequest)))
	case ActionReload:
		r, err := b.Reload(ctx)
		return r, err // diagnostics even of a failure
	case ActionShutdown:
		return nil, b.Shutdown(ctx, time.Duration(args.(*ShutdownRequest).GraceSeconds)*time.Second)
	case ActionTrace:
		l, err := b.Trace(ctx, args.(*TraceRequest).Set)
		return result(TraceResult{l}, err)
	case ActionDelayInfo:
		return result(b.DelayInfo(ctx))
	case ActionDelayReset:
		return result(b.DelayReset(ctx, *args.(*DelayResetRequest)))
	case ActionDelayExplain:
		return result(b.DelayExplain(ctx, *args.(*DelayExplainRequest)))
	case ActionBan:
		return result(b.Ban(ctx, peer.user(), *args.(*BanRequest)))
	case ActionPermit:
		return result(b.Permit(ctx, peer.user(), *args.(*PermitRequest)))
	case ActionBanInfo:
		r, err := b.BanInfo(ctx, *args.(*BanInfoRequest))
		if r.Bans == nil {
			r.Bans = []BanEntry{}
		}
		return result(r, err)
	case ActionBanExplain:
		return result(b.BanExplain(ctx, *args.(*BanExplainRequest)))
	case ActionBanImport:
		return result(b.BanImport(ctx, peer.user(), *args.(*BanImportRequest)))
	case ActionUpgrade:
		return nil, b.Upgrade(ctx)
	case ActionVersion:
		return VersionResult{s.opt.Version}, nil
	}
	return nil, fmt.Errorf("%w: action %s", ErrUnsupported, quote(action))
}

// result leaves the result out where there is an error.
func result(v any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func codeOf(err error) Code {
	switch {
	case err == nil:
		return CodeOK
	case errors.Is(err, ErrParameters), errors.Is(err, errFrame):
		return CodeParameters
	case errors.Is(err, ErrNotFound):
		return CodeNotFound
	case errors.Is(err, ErrRefused):
		return CodeRefused
	case errors.Is(err, ErrUnsupported):
		return CodeUnsupported
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return CodeInternal
	}
	return CodeFailed
}

// audit records who did what. Looking (status, who, version, trace without
// arguments) is recorded at Debug, so that monitoring does not fill the log.
func (s *Server) audit(peer *Peer, req *Request, resp *Response) {
	level := logging.LevelNotice
	switch {
	case req.Action == ActionStatus, req.Action == ActionWho, req.Action == ActionVersion, req.Action == ActionDelayInfo,
		req.Action == ActionBanInfo, req.Action == ActionBanExplain,
		req.Action == ActionTrace && len(req.Args) == 0:
		level = slog.LevelDebug
	}
	attrs := append(peerAttrs(peer), slog.String("action", req.Action), slog.Int("code", int(resp.Code)),
		logging.Kind(logging.ControlAction))
	switch {
	case req.Action == ActionBanImport: // its result says how many; the list has the names
		attrs = append(attrs, slog.String("result", string(resp.Result[:min(len(resp.Result), 512)])))
	case len(req.Args) > 0:
		attrs = append(attrs, slog.String("args", string(req.Args)))
	}
	if resp.Error != "" {
		attrs = append(attrs, slog.String(logging.KeyError, resp.Error))
	}
	s.opt.Log.LogAttrs(s.ctx, level, "control "+req.Action, attrs...)
}

func peerAttrs(p *Peer) []slog.Attr {
	return []slog.Attr{slog.Uint64("peer_uid", uint64(p.UID)), slog.Int("peer_pid", p.PID)}
}

func anyAttrs(p *Peer) []any {
	return []any{slog.Uint64("peer_uid", uint64(p.UID)), slog.Int("peer_pid", p.PID)}
}
