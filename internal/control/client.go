package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Client asks the daemon behind a control socket. Each call is a connection.
type Client struct {
	Socket  string        // absolute path
	Timeout time.Duration // of a call; 0: 70 s, longer than any answer of the server takes
}

// ErrUnreachable is in the errors of calls that found no daemon: no socket,
// nobody listening, no right to connect.
var ErrUnreachable = errors.New("cannot reach the daemon")

// Do sends one request. The error is about the transport; a refusal is in the
// response (Response.Err).
func (c *Client) Do(ctx context.Context, action string, args any) (*Response, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = longTime + writeTime
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req := Request{Version: Version, Action: action}
	if args != nil {
		b, err := json.Marshal(args)
		if err != nil {
			return nil, fmt.Errorf("encode arguments: %w", err)
		}
		req.Args = b
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	var resp Response
	body, err := exchange(conn, &req)
	if err == nil {
		err = json.Unmarshal(body, &resp)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("control socket %q: no answer: %w", c.Socket, err)
	}
	return &resp, nil
}

// exchange writes the request and reads the answer. A server that refuses
// before it reads may close on the request: its answer counts all the same.
func exchange(conn net.Conn, req *Request) ([]byte, error) {
	werr := writeFrame(conn, req, MaxRequest)
	if werr != nil && !errors.Is(werr, unix.EPIPE) && !errors.Is(werr, unix.ECONNRESET) {
		return nil, werr
	}
	body, err := readFrame(conn, MaxResponse)
	if err != nil && werr != nil {
		return nil, werr
	}
	return body, err
}

// dial connects, through the directory where the path is too long for the
// socket address.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	path := c.Socket
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("control socket %q: must be an absolute path", path)
	}
	if len(path) > maxSunPath {
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("%w: control socket %q: %w", ErrUnreachable, c.Socket, err)
		}
		defer dir.Close()
		path = "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		return conn, nil
	}
	cause := err
	var errno unix.Errno
	if errors.As(err, &errno) {
		cause = errno
	}
	hint := ""
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		hint = " (is sallyport running?)"
	case errors.Is(err, unix.EACCES):
		hint = " (root and members of the control group may connect)"
	}
	return nil, fmt.Errorf("%w: control socket %q: %w%s", ErrUnreachable, c.Socket, cause, hint)
}

// call is Do with a typed result; a refusal is an *Error.
func call[T any](ctx context.Context, c *Client, action string, args any) (T, error) {
	var v T
	r, err := c.Do(ctx, action, args)
	if err != nil {
		return v, err
	}
	if len(r.Result) > 0 {
		if err := json.Unmarshal(r.Result, &v); err != nil {
			return v, fmt.Errorf("answer to %s: %w", action, err)
		}
	}
	return v, r.Err()
}

// Status asks for a snapshot of the daemon.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, ActionStatus, nil)
}

// Who asks for the live sessions.
func (c *Client) Who(ctx context.Context) ([]SessionInfo, error) {
	r, err := call[WhoResult](ctx, c, ActionWho, nil)
	return r.Sessions, err
}

// Kick ends sessions.
func (c *Client) Kick(ctx context.Context, k KickRequest) (KickResult, error) {
	return call[KickResult](ctx, c, ActionKick, k)
}

// Reload has the configuration read again; the result holds diagnostics even
// where there is an error.
func (c *Client) Reload(ctx context.Context) (ReloadResult, error) {
	return call[ReloadResult](ctx, c, ActionReload, nil)
}

// Shutdown ends the daemon; it answers before it has ended.
func (c *Client) Shutdown(ctx context.Context, grace time.Duration) error {
	_, err := call[struct{}](ctx, c, ActionShutdown, ShutdownRequest{GraceSeconds: int(grace / time.Second)})
	return err
}

// Trace sets trace channels (or none) and returns all.
func (c *Client) Trace(ctx context.Context, set []TraceLevel) ([]TraceLevel, error) {
	var args any
	if len(set) > 0 {
		args = TraceRequest{Set: set}
	}
	r, err := call[TraceResult](ctx, c, ActionTrace, args)
	return r.Channels, err
}

// Upgrade has the daemon execute the installed binary in place; it answers
// before it does. Status.Upgrades grows when it has.
func (c *Client) Upgrade(ctx context.Context) error {
	_, err := call[struct{}](ctx, c, ActionUpgrade, nil)
	return err
}

// Version asks for the daemon's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	r, err := call[VersionResult](ctx, c, ActionVersion, nil)
	return r.Version, err
}
