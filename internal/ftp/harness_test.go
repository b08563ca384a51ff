package ftp

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pgregory.net/rapid"

	"sallyport/internal/policy"
	"sallyport/internal/vfs/server"
	"sallyport/ipc"
	"sallyport/ipc/blob"
	"sallyport/shm"
)

// patience bounds every wait of a test; none lasts nearly as long.
const patience = 60 * time.Second

// tb is what the helpers need of a test, of testing or of rapid.
type tb interface {
	rapid.TB
	Cleanup(f func())
}

// setup is what a test may choose of a session's world.
type setup struct {
	View        policy.Session
	Entered     func(v *policy.Session) // what the login changes in View
	Files       policy.Files
	Ungreet     bool                                           // the session greets itself
	Address     string                                         // the client calls this one; default 127.0.0.1
	Verdict     func(q *ipc.AuthRequest) (ipc.AuthReply, bool) // false: authd dies
	Refuse      string                                         // master refuses the files channel
	Active      func(target netip.AddrPort) string             // master's refusal of PORT; default: not the peer
	Serve       func(c *ipc.Conn)                              // instead of the files process
	Unconnected bool                                           // passive connections fail at once
	NoData      bool                                           // passive connections never arrive
	AheadFor    time.Duration                                  // how long the next listener may be announced; 0: two seconds
	Sizes       int64                                          // bytes that RETR and STOR may have
	Anonymous   bool                                           // master says that the login was one
	Rates       []ipc.RateRule
	Company     ipc.Company
	Transfers   func(command string) string // master's refusal of a transfer
	Groups      server.FindGroups
	Authd       func(body any) any                                           // answers what is no AuthRequest
	Gone        func()                                                       // the session has closed its channel to authd
	Lane        func(w *world, body any) (ipc.HostSelected, *policy.Session) // answers SelectHost and ProxyHeader
	Implicit    bool                                                         // the listener is one of implicit TLS
	Proxy       bool                                                         // and of PROXY headers
}

func ordinary() setup {
	return setup{
		View: policy.Session{
			Ident: "FTP server ready", ServerName: "Test Server", TransferMode: "binary",
			AllowRetrieveRestart: true, AllowStoreRestart: true,
			TimeoutLogin: 300, TimeoutIdle: 600, TimeoutStalled: 30, CommandBufferSize: 4096, MaxPasswordSize: 1024,
		},
		Files: policy.Files{
			Umask: 0o22, DirUmask: 0o22, AllowOverwrite: true, AllowStoreRestart: true, AllowRetrieveRestart: true,
			StoreUniquePrefix: "ftp", ShowSymlinks: true, TimesGMT: true, UseGlobbing: true,
		},
	}
}

// world plays master, authd, the files process and the client of one session.
type world struct {
	t    tb
	o    setup
	root string // the user's tree

	client net.Conn
	in     *bufio.Reader
	here   string // the client's address, and the session's: master asks while the client may be put under TLS
	there  string
	data   net.Conn // the data connection of the client, if there is one

	lane     *ipc.Conn // master's end
	noticeMu sync.Mutex
	notice   *ipc.Conn
	page     *shm.Page
	doors    doors

	mu      sync.Mutex
	reports []ipc.Report
	records []ipc.Record
	running int // transfers that master counts
	bye     string
	asked   []ipc.AuthRequest
	done    chan error
	lost    chan struct{} // closed when the session has closed the lane
}

// begin starts a session that serves a real connection.
func begin(t tb, o setup) *world {
	t.Helper()
	root, err := os.MkdirTemp("", "ftp")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	w := &world{t: t, o: o, root: root, done: make(chan error, 1), lost: make(chan struct{})}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	client, control := tcpPair(t, o.Address)
	w.client, w.in = client, bufio.NewReader(client)
	w.here, w.there = client.LocalAddr().String(), client.RemoteAddr().String()

	lane, theirLane := pair(t)
	notice, theirNotice := pair(t)
	w.lane, w.notice = ipc.New(lane, ipc.SessionLane, ipc.Master), ipc.New(notice, ipc.SessionNotice, ipc.Master)
	w.lane.SetState(ipc.SessionLogin)
	w.notice.SetState(ipc.SessionLogin)

	fd, page, err := shm.NewPage()
	must(t, err)
	w.page = page
	theirs, err := shm.OpenPage(fd)
	must(t, err)
	unix.Close(fd)

	c := Config{
		Assign: ipc.Assign{
			Session: 7, Peer: client.LocalAddr().String(), Local: client.RemoteAddr().String(), Protocol: "ftp", Greeted: !o.Ungreet,
			TLS: o.Implicit, Proxy: o.Proxy,
		},
		Control: control, View: o.View, Page: theirs,
		Lane:   ipc.New(theirLane, ipc.SessionLane, ipc.Session),
		Notice: ipc.New(theirNotice, ipc.SessionNotice, ipc.Session),
		Auth:   w.authd(),
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); defer close(w.lost); w.master() }()
	go func() { w.done <- Serve(c) }()
	t.Cleanup(func() {
		client.Close()
		if w.data != nil {
			w.data.Close()
		}
		select {
		case err := <-w.done:
			if err != nil {
				t.Errorf("session: %v", err)
			}
		case <-time.After(patience):
			t.Error("the session does not end")
		}
		wg.Wait()
		w.lane.Close()
		w.noticeMu.Lock()
		w.notice.Close()
		w.noticeMu.Unlock()
		page.Close()
		theirs.Close()
	})
	return w
}

func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pair(t tb) (a, b int) {
	t.Helper()
	a, b, err := ipc.Pair()
	must(t, err)
	return a, b
}

// tcpPair makes a connection: the client's end, and the server's descriptor.
func tcpPair(t tb, host string) (net.Conn, int) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	must(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	conn, err := l.Accept()
	must(t, err)
	return client, detach(conn)
}

// detach makes a bare descriptor of a connection.
func detach(c net.Conn) int {
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return -1
	}
	defer f.Close()
	c.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil || unix.SetNonblock(fd, true) != nil { // as master's are; Fd has made it block
		return -1
	}
	return fd
}

// authd answers login requests until its channel ends; the session's end is
// returned.
func (w *world) authd() *ipc.Conn { return w.otherAuthd(w.o.Authd) }

// otherAuthd is one that answers otherwise what is no AuthRequest.
func (w *world) otherAuthd(answer func(body any) any) *ipc.Conn {
	a, b, err := ipc.Pair()
	if err != nil {
		w.t.Error(err)
	}
	go func() {
		c := ipc.New(a, ipc.SessionAuthd, ipc.Authd)
		defer c.Close()
		if w.o.Gone != nil {
			defer w.o.Gone()
		}
		for {
			m, err := c.Recv()
			if err != nil {
				return
			}
			q, ok := m.Body.(*ipc.AuthRequest)
			if !ok {
				if r := answer(m.Body); r == nil || c.Send(r) != nil {
					return
				}
				continue
			}
			w.mu.Lock()
			w.asked = append(w.asked, *q)
			w.mu.Unlock()
			r, ok := w.verdict(q)
			if !ok || c.Send(r) != nil {
				return
			}
		}
	}()
	return ipc.New(b, ipc.SessionAuthd, ipc.Session)
}

func (w *world) verdict(q *ipc.AuthRequest) (ipc.AuthReply, bool) {
	if w.o.Verdict != nil {
		return w.o.Verdict(q)
	}
	if string(q.Secret) == "secret" {
		return ipc.AuthReply{Verdict: ipc.VerdictOK, User: q.User}, true
	}
	return ipc.AuthReply{}, true
}

// master answers the lane.
func (w *world) master() {
	var target netip.AddrPort
	d := &w.doors
	drop := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.close()
		target = netip.AddrPort{}
	}
	defer drop()
	host, _, _ := net.SplitHostPort(w.there)
	for {
		m, err := w.lane.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				w.t.Errorf("lane: %v", err)
			}
			return
		}
		switch q := m.Body.(type) {
		case *ipc.TakeFiles:
			w.takeFiles()
		case *ipc.Passive:
			drop()
			d.mu.Lock()
			l := w.open(host, q.Again)
			d.mu.Unlock()
			w.answer(l)
		case *ipc.Active:
			drop()
			seq := d.number(1)
			t := netip.MustParseAddrPort(q.Target)
			if why := w.refuse(t); why != "" {
				w.answer(ipc.Listening{Refusal: why})
				continue
			}
			target = t
			w.answer(ipc.Listening{Seq: seq})
		case *ipc.Connect:
			w.answer(ipc.Done{Seq: d.number(0)})
			go w.dial(target, d.number(0))
		case *ipc.CloseData:
			drop()
			w.answer(ipc.Done{Seq: d.number(0)})
		case *ipc.Report:
			w.mu.Lock()
			w.reports = append(w.reports, *q)
			w.mu.Unlock()
		case *ipc.BeginTransfer:
			if w.o.Transfers != nil {
				if why := w.o.Transfers(q.Command); why != "" {
					w.answer(ipc.TransferAllowed{Refused: true, Text: why})
					continue
				}
			}
			w.mu.Lock()
			w.running++
			w.mu.Unlock()
			w.answer(ipc.TransferAllowed{})
		case *ipc.EndTransfer:
			w.mu.Lock()
			w.running--
			w.mu.Unlock()
		case *ipc.Record:
			w.mu.Lock()
			w.records = append(w.records, *q)
			w.mu.Unlock()
		case *ipc.Bye:
			w.mu.Lock()
			w.bye = q.Reason
			w.mu.Unlock()
		case *ipc.SelectHost, *ipc.ProxyHeader:
			w.hosts(q)
		}
	}
}

func (w *world) refuse(t netip.AddrPort) string {
	if w.o.Active != nil {
		return w.o.Active(t)
	}
	if t.Addr() != netip.MustParseAddrPort(w.here).Addr() {
		return "address mismatch"
	}
	if t.Port() < 1024 {
		return "port below 1024"
	}
	return ""
}

func (w *world) answer(body any, fds ...int) {
	if err := w.lane.Send(body, fds...); err != nil && !errors.Is(err, io.EOF) {
		w.t.Errorf("answer %T: %v", body, err)
	}
}

func (w *world) tell(body any, fds ...int) {
	w.noticeMu.Lock()
	defer w.noticeMu.Unlock()
	if w.notice.FD() >= 0 {
		_ = w.notice.Send(body, fds...)
	}
	closeFDs(fds)
}

// doors are the passive listener that is open, and the number of the last one or
// of the last target.
type doors struct {
	mu       sync.Mutex
	seq      uint32
	listener net.Listener
}

func (d *doors) close() {
	if d.listener != nil {
		d.listener.Close()
	}
	d.listener = nil
}

// number returns the number of the last listener or target, that of another one
// where one is added.
func (d *doors) number(add uint32) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq += add
	return d.seq
}

// open opens the next listener and lets one client in, and again another one.
func (w *world) open(host string, again bool) ipc.Listening {
	d := &w.doors
	d.close()
	d.seq++
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return ipc.Listening{Errno: uint32(unix.EADDRINUSE)}
	}
	d.listener = l
	switch {
	case w.o.Unconnected:
		w.tell(ipc.Data{Seq: d.seq, Errno: uint32(unix.ECONNREFUSED)})
	case !w.o.NoData:
		go w.accept(l, host, d.seq, again)
	}
	return ipc.Listening{Seq: d.seq, Address: host, Port: uint16(l.Addr().(*net.TCPAddr).Port)}
}

func (w *world) accept(l net.Listener, host string, seq uint32, again bool) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	w.doors.mu.Lock()
	defer w.doors.mu.Unlock()
	data := ipc.Data{Seq: seq}
	if w.doors.listener == l && again {
		data.Next, data.Until = w.open(host, true), monotonic()+int64(cmp.Or(w.o.AheadFor, 2*time.Second))
	}
	l.Close()
	w.tell(data, detach(c))
}

// monotonic is master's clock.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // never fails
	return ts.Nano()
}

func (w *world) dial(t netip.AddrPort, seq uint32) {
	c, err := net.Dial("tcp", t.String())
	if err != nil {
		w.tell(ipc.Data{Seq: seq, Errno: uint32(unix.ECONNREFUSED)})
		return
	}
	w.tell(ipc.Data{Seq: seq}, detach(c))
}

// takeFiles starts the files process's server in a goroutine.
func (w *world) takeFiles() {
	if w.o.Refuse != "" {
		w.answer(ipc.FilesChannel{Refused: true, Text: w.o.Refuse})
		return
	}
	root, err := unix.Open(w.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		w.t.Error(err)
		return
	}
	s, err := server.New(root, w.o.Files, nil)
	if err != nil {
		w.t.Error(err)
		return
	}
	s.Limit(w.o.Sizes, w.o.Sizes)
	s.Groups(w.o.Groups)
	a, b, err := ipc.Pair()
	if err != nil {
		w.t.Error(err)
		return
	}
	go func() {
		c := ipc.New(a, ipc.SessionFiles, ipc.Files)
		defer s.Close()
		defer c.Close()
		if w.o.Serve != nil {
			w.o.Serve(c)
		} else if err := s.Serve(c, -1); err != nil {
			w.t.Errorf("files: %v", err)
		}
	}()
	v := w.o.View
	if w.o.Entered != nil {
		w.o.Entered(&v)
	}
	view, err := blob.Seal("session", &v)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.answer(ipc.FilesChannel{User: "ann", Home: "/", Anonymous: w.o.Anonymous, Rates: w.o.Rates, Company: w.o.Company}, b, view)
	unix.Close(b)
	unix.Close(view)
	w.lane.SetState(ipc.SessionOpen)
	w.notice.SetState(ipc.SessionOpen)
}

// --- the client ---------------------------------------------------------------

func (w *world) send(raw string) {
	w.t.Helper()
	_ = w.client.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.client, raw); err != nil {
		w.t.Fatalf("send %q: %v", raw, err)
	}
}

func (w *world) line() string {
	w.t.Helper()
	_ = w.client.SetReadDeadline(time.Now().Add(patience))
	l, err := w.in.ReadString('\n')
	if err != nil {
		w.t.Fatalf("read a reply: %q, %v", l, err)
	}
	if !strings.HasSuffix(l, "\r\n") {
		w.t.Fatalf("reply line %q does not end in CR LF", l)
	}
	return l[:len(l)-2]
}

// reply reads a whole reply; its lines are joined by LF.
func (w *world) reply() string {
	w.t.Helper()
	l := w.line()
	all := l
	for len(l) > 3 && l[3] == '-' || strings.HasPrefix(l, " ") {
		l = w.line()
		all += "\n" + l
	}
	return all
}

// cmd sends a command and returns the reply.
func (w *world) cmd(format string, a ...any) string {
	w.t.Helper()
	w.send(fmt.Sprintf(format, a...) + "\r\n")
	return w.reply()
}

// want fails the test where a command's reply does not begin with the text.
func (w *world) want(reply, command string) {
	w.t.Helper()
	if got := w.cmd("%s", command); !strings.HasPrefix(got, reply) {
		w.t.Fatalf("%s: %q, want %q", command, got, reply)
	}
}

// next fails the test where the next reply does not begin with the text.
func (w *world) next(reply string) {
	w.t.Helper()
	if got := w.reply(); !strings.HasPrefix(got, reply) {
		w.t.Fatalf("reply %q, want %q", got, reply)
	}
}

// ended fails the test where the connection has more to say.
func (w *world) ended() {
	w.t.Helper()
	_ = w.client.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(w.in)
	if len(rest) > 0 || err != nil && !errors.Is(err, unix.ECONNRESET) {
		w.t.Fatalf("instead of the end: %q, %v", rest, err)
	}
}

func (w *world) login() {
	w.t.Helper()
	w.want("331", "USER ann")
	w.want("230", "PASS secret")
}

// passive sets up a data connection by EPSV.
func (w *world) passive() net.Conn {
	w.t.Helper()
	r := w.cmd("EPSV")
	var port int
	if _, err := fmt.Sscanf(r, "229 Entering Extended Passive Mode (|||%d|)", &port); err != nil {
		w.t.Fatalf("EPSV: %q", r)
	}
	host, _, _ := net.SplitHostPort(w.there)
	c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	must(w.t, err)
	_ = c.SetDeadline(time.Now().Add(patience))
	if w.data != nil {
		w.data.Close()
	}
	w.data = c
	return c
}

// called returns once the session has had an answer from master: behind all
// that it sent without waiting for one. A passive listener may have been opened
// ahead, without a call; an active target is always asked for.
func (w *world) called() {
	w.t.Helper()
	w.want("200 ", "PORT 127,0,0,1,200,200")
}

// fetch runs a command that sends data and returns it, with the last reply.
func (w *world) fetch(command string) (data, last string) {
	w.t.Helper()
	c := w.passive()
	w.want("150", command)
	b, err := io.ReadAll(c)
	must(w.t, err)
	c.Close()
	return string(b), w.reply()
}

// store runs a command that takes data and returns its last reply.
func (w *world) store(command, data string) string {
	w.t.Helper()
	c := w.passive()
	w.want("150", command)
	_, err := io.WriteString(c, data)
	must(w.t, err)
	c.Close()
	return w.reply()
}

func (w *world) put(name, content string) {
	w.t.Helper()
	p := filepath.Join(w.root, name)
	must(w.t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(w.t, os.WriteFile(p, []byte(content), 0o644))
}

func (w *world) content(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.root, name))
	must(w.t, err)
	return string(b)
}

// events returns the names of the events reported so far.
func (w *world) events() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n []string
	for _, r := range w.reports {
		n = append(n, r.Event)
	}
	return n
}

// dial connects to a data port.
func dial(t tb, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	must(t, err)
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// reset breaks a connection.
func (w *world) reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}
