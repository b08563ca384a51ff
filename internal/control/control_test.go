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
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// clientEnv makes the test binary a client: it prints code and error of one
// action at the socket named.
const clientEnv = "SALLYPORT_TEST_CONTROL_CLIENT"

func TestMain(m *testing.M) {
	if path := os.Getenv(clientEnv); path != "" {
		r, err := (&Client{Socket: path, Timeout: 20 * time.Second}).Do(context.Background(), os.Args[1], nil)
		if err != nil {
			fmt.Println("transport:", err)
		} else {
			fmt.Println(r.Code, r.Error)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake is a Backend that records and answers what it is told to.
type fake struct {
	mu    sync.Mutex
	calls []string
	err   error
	hold  chan struct{} // Who waits for it, or for its context
	held  atomic.Int32  // how many have waited
}

func (f *fake) call(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fake) Status(context.Context) (Status, error) {
	return Status{State: StateServing, PID: 42, Version: "1"}, f.call("status")
}

func (f *fake) Who(ctx context.Context) ([]SessionInfo, error) {
	if f.hold != nil {
		f.held.Add(1)
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return []SessionInfo{{ID: "1", User: "alice"}}, f.call("who")
}

func (f *fake) Kick(_ context.Context, r KickRequest) (KickResult, error) {
	return KickResult{Kicked: []KickCount{{Name: r.Names[0], Sessions: 2}}}, f.call("kick %s %v %d", r.By, r.Names, r.Max)
}

func (f *fake) Reload(context.Context) (ReloadResult, error) {
	return ReloadResult{Generation: 2, Diagnostics: []string{"line 3: odd"}}, f.call("reload")
}

func (f *fake) Shutdown(_ context.Context, d time.Duration) error { return f.call("shutdown %v", d) }

func (f *fake) Trace(_ context.Context, set []TraceLevel) ([]TraceLevel, error) {
	return append([]TraceLevel{{"auth", 0}}, set...), f.call("trace %v", set)
}

func (f *fake) DelayInfo(context.Context) (DelayResult, error) {
	return DelayResult{Path: "/x", Rows: []DelayRow{{Host: "main", Count: 2}}}, f.call("delay info")
}

func (f *fake) DelayReset(_ context.Context, r DelayResetRequest) (DelayResetResult, error) {
	return DelayResetResult{Rows: 3}, f.call("delay reset %s", r.Host)
}

func (f *fake) DelayExplain(_ context.Context, r DelayExplainRequest) (DelayExplainResult, error) {
	return DelayExplainResult{Lines: []string{"so"}}, f.call("delay explain %s %s %s %s", r.User, r.Host, r.Class, r.Protocol)
}

func (f *fake) Ban(_ context.Context, by string, r BanRequest) (BanResult, error) {
	return BanResult{Names: []BanOutcome{{Name: r.Names[0], Sessions: 2}}}, f.call("ban by %s %+v", by, r)
}

func (f *fake) Permit(_ context.Context, by string, r PermitRequest) (PermitResult, error) {
	return PermitResult{Names: []PermitOutcome{{Name: r.Names[0], Lifted: 1}}}, f.call("permit by %s %+v", by, r)
}

func (f *fake) BanInfo(_ context.Context, r BanInfoRequest) (BanInfoResult, error) {
	return BanInfoResult{Total: 3}, f.call("ban_info %v", r.Events)
}

func (f *fake) BanExplain(_ context.Context, r BanExplainRequest) (BanExplainResult, error) {
	return BanExplainResult{Address: r.Address, Refused: true}, f.call("ban_explain %+v", r)
}

func (f *fake) BanImport(_ context.Context, by string, r BanImportRequest) (BanImportResult, error) {
	return BanImportResult{Banned: len(r.Entries)}, f.call("ban_import by %s %d", by, len(r.Entries))
}

func (f *fake) Upgrade(context.Context) error { return f.call("upgrade") }

// names is a Lookup from a table.
type names map[string]uint32

func (n names) UID(s string) (uint32, bool) { id, ok := n[s]; return id, ok }
func (n names) GID(s string) (uint32, bool) { id, ok := n["g:"+s]; return id, ok }

// ids that no account of the machine has.
var accounts = names{
	"alice": 54321, "sallyport": 54320, "g:sallyport-admin": 54300, "g:ops": 54301, "g:alices": 54302,
}

// logFile is the log of a server under test.
type logFile struct {
	*logging.Log
	file *os.File
}

func (l *logFile) flush() { l.Log.Flush(10 * time.Second) }

func (l *logFile) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(l.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// start serves f.
func start(t *testing.T, f Backend, c policy.Control) (*Server, *Client, *logFile) {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := logging.New(logging.Options{Format: logging.FormatText, Output: out, Level: slog.LevelDebug})
	if err != nil {
		t.Fatal(err)
	}
	c.Engine = true
	if c.Socket == "" {
		c.Socket = filepath.Join(dir, "s")
	}
	s, err := Serve(Options{
		Control: c, Workers: []string{"sallyport"}, Backend: f, Version: "1.2.3",
		Log: log.Logger, Names: accounts,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); log.Close(10 * time.Second); out.Close() })
	return s, &Client{Socket: c.Socket, Timeout: 20 * time.Second}, &logFile{log, out}
}

func TestEveryAction(t *testing.T) {
	f := &fake{}
	_, c, _ := start(t, f, policy.Control{})
	ctx := t.Context()
	if st, err := c.Status(ctx); err != nil || st.State != StateServing || st.PID != 42 {
		t.Errorf("status: %+v, %v", st, err)
	}
	if l, err := c.Who(ctx); err != nil || len(l) != 1 || l[0].User != "alice" {
		t.Errorf("who: %+v, %v", l, err)
	}
	k, err := c.Kick(ctx, KickRequest{By: KickHost, Names: []string{"192.0.2.0/24"}, Max: 1})
	if d := cmp.Diff(KickResult{Kicked: []KickCount{{"192.0.2.0/24", 2}}}, k); d != "" || err != nil {
		t.Errorf("kick: %s, %v", d, err)
	}
	if r, err := c.Reload(ctx); err != nil || r.Generation != 2 {
		t.Errorf("reload: %+v, %v", r, err)
	}
	if err := c.Shutdown(ctx, 90*time.Second); err != nil {
		t.Error(err)
	}
	if l, err := c.Trace(ctx, []TraceLevel{{"data", 7}}); err != nil || len(l) != 2 {
		t.Errorf("trace: %v, %v", l, err)
	}
	if r, err := c.DelayInfo(ctx); err != nil || len(r.Rows) != 1 || r.Rows[0].Count != 2 {
		t.Errorf("delay info: %+v, %v", r, err)
	}
	if r, err := c.DelayReset(ctx, DelayResetRequest{Host: "main"}); err != nil || r.Rows != 3 {
		t.Errorf("delay reset: %+v, %v", r, err)
	}
	if r, err := c.DelayExplain(ctx, DelayExplainRequest{User: "alice", Protocol: "ftps"}); err != nil || len(r.Lines) != 1 {
		t.Errorf("delay explain: %+v, %v", r, err)
	}
	if l, err := c.Trace(ctx, nil); err != nil || len(l) != 1 {
		t.Errorf("trace: %v, %v", l, err)
	}
	if err := c.Upgrade(ctx); err != nil {
		t.Error(err)
	}
	if v, err := c.Version(ctx); err != nil || v != "1.2.3" {
		t.Errorf("version: %q, %v", v, err)
	}
	want := []string{"status", "who", "kick host [192.0.2.0/24] 1", "reload", "shutdown 1m30s", "trace [{data 7}]", "delay info", "delay reset main", "delay explain alice   ftps", "trace []", "upgrade"}
	if d := cmp.Diff(want, f.calls); d != "" {
		t.Errorf("calls (-want +got)\n%s", d)
	}
}

func TestBackendErrorsBecomeCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Code
	}{
		{errors.New("parse error"), CodeFailed},
		{fmt.Errorf("%w: channel x", ErrParameters), CodeParameters},
		{fmt.Errorf("user: %w", ErrNotFound), CodeNotFound},
		{fmt.Errorf("%w: a reload is running", ErrRefused), CodeRefused},
		{context.DeadlineExceeded, CodeInternal},
	} {
		_, cl, _ := start(t, &fake{err: c.err}, policy.Control{})
		r, err := cl.Reload(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Code != c.want || e.Text != c.err.Error() {
			t.Errorf("%v: %v, want code %d", c.err, err, c.want)
		}
		if len(r.Diagnostics) != 1 {
			t.Errorf("%v: the diagnostics of a failed reload are lost", c.err)
		}
	}
}

// talk sends raw bytes and returns all of the answer.
func talk(t *testing.T, path string, send []byte) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(send); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.UnixConn).CloseWrite()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	b, _ := io.ReadAll(c)
	if len(b) < 4 {
		return ""
	}
	return string(b[4:])
}

func frame(s string) []byte {
	n := len(s)
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, s...)
}

func TestBadRequests(t *testing.T) {
	f := &fake{}
	_, c, _ := start(t, f, policy.Control{})
	for _, x := range []struct {
		name string
		send []byte
		code Code
		text string
	}{
		{"empty frame", frame(""), CodeParameters, "length 0"},
		{"too long", []byte{0xff, 0xff, 0xff, 0xff}, CodeParameters, "is not within 1 to 16384"},
		{"not JSON", frame("hello"), CodeParameters, "malformed request"},
		{"trailing", frame(`{"version":1,"action":"who"} x`), CodeParameters, "trailing bytes"},
		{"unknown key", frame(`{"version":1,"action":"who","uid":0}`), CodeParameters, `unknown field "uid"`},
		{"not UTF-8", frame("{\"version\":1,\"action\":\"\xff\"}"), CodeParameters, "not UTF-8"},
		{"other version", frame(`{"version":2,"action":"who"}`), CodeUnsupported, "protocol version 2"},
		{"no action", frame(`{"version":1}`), CodeUnsupported, `action ""`},
		{"unknown action", frame(`{"version":1,"action":"x\n\u001b"}`), CodeUnsupported, `action "x\x0a\x1b"`},
		{"needless args", frame(`{"version":1,"action":"who","args":{}}`), CodeParameters, "takes no arguments"},
		{"args missing", frame(`{"version":1,"action":"kick"}`), CodeParameters, "1 to 64 names"},
		{"args of a wrong type", frame(`{"version":1,"action":"kick","args":[1]}`), CodeParameters, "cannot unmarshal"},
		{"unknown kick", frame(`{"version":1,"action":"kick","args":{"by":"all","names":["x"]}}`), CodeParameters, `kick by "all"`},
		{"bad host", frame(`{"version":1,"action":"kick","args":{"by":"host","names":["localhost"]}}`), CodeParameters, `host "localhost": neither`},
		{"bad session", frame(`{"version":1,"action":"kick","args":{"by":"session","names":["-1"]}}`), CodeParameters, `session "-1": not a number`},
		{"negative max", frame(`{"version":1,"action":"kick","args":{"by":"user","names":["x"],"max":-1}}`), CodeParameters, "at most -1"},
		{"text that forges", frame(`{"version":1,"action":"kick","args":{"by":"user","names":["x"],"text":"a\r\n230 ok"}}`), CodeParameters, "control characters"},
		{"grace", frame(`{"version":1,"action":"shutdown","args":{"grace_seconds":86401}}`), CodeParameters, "0 to 86400"},
		{"level", frame(`{"version":1,"action":"trace","args":{"set":[{"channel":"a","level":21}]}}`), CodeParameters, "level 21"},
	} {
		got := talk(t, c.Socket, x.send)
		var r Response
		if err := json.Unmarshal([]byte(got), &r); err != nil {
			t.Errorf("%s: answer %q", x.name, got)
			continue
		}
		if r.Code != x.code || !strings.Contains(r.Error, x.text) || r.Version != Version {
			t.Errorf("%s: %s, want code %d and %q", x.name, got, x.code, x.text)
		}
	}
	for _, s := range [][]byte{nil, {0, 0}, frame(`{"version":1,"action":"who"}`)[:20]} {
		if got := talk(t, c.Socket, s); got != "" {
			t.Errorf("%q cut short was answered %q", s, got)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("the backend was called: %v", f.calls)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// TestSilentClientsHinderNobody fills the places of other users' clients with
// silence; the owner is answered all the same, and silence past all places is
// answered, not kept.
func TestSilentClientsHinderNobody(t *testing.T) {
	_, c, _ := start(t, &fake{}, policy.Control{})
	for range maxClients - 1 {
		idle, err := net.Dial("unix", c.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseAnswersWhatIsInHandAndRemovesTheSocket(t *testing.T) {
	f := &fake{hold: make(chan struct{})}
	s, c, _ := start(t, f, policy.Control{})
	type answer struct {
		r   *Response
		err error
	}
	got := make(chan answer)
	go func() {
		r, err := c.Do(context.Background(), ActionWho, nil)
		got <- answer{r, err}
	}()
	idle, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	for s.slots.Load() < 2 || f.held.Load() < 1 { // both are being served, and one was asked for
		time.Sleep(time.Millisecond)
	}
	s.Close()
	a := <-got
	if a.err != nil || a.r.Code != CodeInternal {
		t.Errorf("who that the end overtook: %+v, %v", a.r, a.err)
	}
	if _, err := os.Lstat(c.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after close: %v", err)
	}
	s.Close() // again is no harm
	(*Server)(nil).Close()
}

func TestHandoverKeepsTheSocket(t *testing.T) {
	s, c, _ := start(t, &fake{}, policy.Control{})
	fd, err := s.Handover()
	if err != nil {
		t.Fatal(err)
	}
	if f, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || f&unix.FD_CLOEXEC == 0 {
		t.Errorf("a worker that starts now would get the descriptor: flags %x, %v", f, err)
	}
	if f, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || f&unix.O_NONBLOCK == 0 {
		t.Errorf("the socket blocks, and with it whoever is in accept: flags %x, %v", f, err)
	}
	done := make(chan error)
	go func() { _, err := c.Status(context.Background()); done <- err }() // waits in the backlog
	o := s.opt
	o.Inherit = fd
	s2, err := Serve(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a client in between: %v", err)
	}
	s2.Close()
	if _, err := os.Lstat(c.Socket); !os.IsNotExist(err) {
		t.Errorf("the heir left the socket: %v", err)
	}
}

// TestHandoverAnswersWhoIsThere: who has been accepted is not sent away by an
// upgrade.
func TestHandoverAnswersWhoIsThere(t *testing.T) {
	defer func(d time.Duration) { handoverTime = d }(handoverTime)
	handoverTime = 30 * time.Second
	f := &fake{hold: make(chan struct{})}
	s, c, _ := start(t, f, policy.Control{})
	got := make(chan error)
	go func() {
		r, err := c.Do(context.Background(), ActionWho, nil)
		if err == nil {
			err = r.Err()
		}
		got <- err
	}()
	for f.held.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(f.hold) }) // after the handover has begun, as a rule
	fd, err := s.Handover()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := <-got; err != nil {
		t.Errorf("who asked before it: %v", err)
	}
}

// as runs this binary as a client with other credentials, not as a child of
// the server's process.
func as(t *testing.T, socket, action string, uid uint32, gid uint32, groups ...uint32) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "client")
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(bin, b, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `"$0" "$1"; exit 0`, bin, action)
	cmd.Env = []string{clientEnv + "=" + socket}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestRealCredentials(t *testing.T) {
	f := &fake{}
	rules := []policy.ControlRule{
		{Actions: []string{"kick"}, Users: []string{"alice"}},
		{Actions: []string{"who"}, Users: []string{"sallyport"}, Groups: []string{"ops"}},
	}
	s, c, log := start(t, f, policy.Control{Group: "sallyport-admin", Rules: rules})
	st, err := os.Stat(c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if sys := st.Sys().(*syscall.Stat_t); st.Mode().Perm() != 0o660 || sys.Gid != 54300 || sys.Uid != 0 {
		t.Errorf("socket has mode %v, %d:%d", st.Mode(), sys.Uid, sys.Gid)
	}
	const alice, admins, ops = 54321, 54300, 54301
	for _, x := range []struct {
		name, action string
		uid, gid     uint32
		groups       []uint32
		want         string
	}{
		{"root", "status", 0, 0, nil, "0"},
		{"root, by no rule", "who", 0, 0, nil, "0"},
		{"member by primary group", "status", alice, admins, nil, "0"},
		{"member by supplementary group", "status", alice, 54302, []uint32{1, admins}, "0"},
		{"stranger", "status", alice, 54302, nil, "transport: cannot reach the daemon: control socket " + fmt.Sprintf("%q", c.Socket) +
			": permission denied (root and members of the control group may connect)"},
		{"member, but the rule names others", "who", alice, admins, nil, "2 access denied"},
		{"member by the rule's group", "who", alice, admins, []uint32{ops}, "0"},
		{"worker by rule and group", "who", 54320, admins, []uint32{ops}, "2 access denied"},
		{"unknown action", "quota", alice, admins, nil, `7 not supported: action "quota"`},
	} {
		if got := as(t, c.Socket, x.action, x.uid, x.gid, x.groups...); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
	if err := os.Chmod(c.Socket, 0o666); err != nil { // the mode is not the only guard
		t.Fatal(err)
	}
	if got := as(t, c.Socket, "status", alice, 54302); got != "2 access denied" {
		t.Errorf("stranger past the mode: %q", got)
	}
	if err := s.Configure(policy.Control{Engine: true, Socket: c.Socket, Group: "sallyport-admin"}); err != nil {
		t.Fatal(err)
	}
	if got := as(t, c.Socket, "who", alice, admins); got != "0" {
		t.Errorf("after the rules went: %q", got)
	}
	s.Close()
	log.flush()
	text := log.text(t)
	for _, w := range []string{
		"control request denied peer_uid=54321", "action=who event=control.denied",
		"a worker process connected to the control socket peer_uid=54320", "event=security.violation",
		"DEBUG control status peer_uid=0",
	} {
		if !strings.Contains(text, w) {
			t.Errorf("the log lacks %q:\n%s", w, text)
		}
	}
}

// TestChildrenAreRefused holds that a worker that runs as a member of the
// control group is refused.
func TestChildrenAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	_, c, _ := start(t, &fake{}, policy.Control{Group: "sallyport-admin"})
	cmd := exec.Command("/proc/self/exe", "status")
	cmd.Env = []string{clientEnv + "=" + c.Socket}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54300}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "2 access denied") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestAudit(t *testing.T) {
	s, c, log := start(t, &fake{}, policy.Control{})
	if _, err := c.Kick(t.Context(), KickRequest{By: KickUser, Names: []string{"bob\nFAKE"}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	log.flush()
	want := fmt.Sprintf(`NOTICE control kick peer_uid=%d peer_pid=%d action=kick code=0 event=control.action `+
		`args="{\"by\":\"user\",\"names\":[\"bob\\nFAKE\"]}"`, os.Geteuid(), os.Getpid())
	if got := log.text(t); !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
