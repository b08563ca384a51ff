//go:build hostile

package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/worker"
	"sallyport/ipc"
	"sallyport/test/hostile/attack"
)

// puppeteer is the state of a session whose client pulls the strings.
type puppeteer struct {
	client   int
	lane     *ipc.Conn
	notice   *ipc.Conn
	auth     *ipc.Conn
	files    *ipc.Conn
	env      *attack.Env
	attempts []attack.Attempt
}

// puppet waits for a client, greets it with "puppet" and obeys its lines. Each
// is answered by one line, "= RESULT", unless the process is killed for it:
//
//	TRY name                one attempt of package attack
//	SEND channel Row [n]    a message of the channel's dialogue, n times, made of
//	                        the row's zero value
//	FLOOD channel Row n     the same, waiting where the channel is full
//	RAW channel hex [n]     a datagram of any bytes, n times
//	HUGE channel n          a datagram of n bytes
//	FDS channel Row n       a message with n descriptors that do not belong to it
//	LINGER seconds          sends until nobody reads, and ends; its socket is to
//	                        wait so long for the client
//	LOGIN user password     an honest login, up to the files channel
//	WAIT channel            the next message: its type, or how the channel ended
//	STATE                   the lane's state
//
// Channels are lane, notice, auth and files. Messages are sent as bytes, past
// every check of package ipc on the sender's side.
func puppet(w *worker.Worker) error {
	p := &puppeteer{
		lane:     ipc.New(w.FD(0), ipc.SessionLane, ipc.Session),
		notice:   ipc.New(w.FD(1), ipc.SessionNotice, ipc.Session),
		env:      &attack.Env{Channel: w.FD(0), ReadOnly: w.FD(2)},
		attempts: slices.Concat(attack.Session, attack.Everyone, attack.Arch),
	}
	if atStart != "" { // in the pool, before any client
		p.lane.SetState(ipc.SessionIdle)
		p.obey(atStart)
	}
	m, err := p.notice.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, ok := m.Body.(*ipc.Assign); !ok {
		return fmt.Errorf("%T instead of a client", m.Body)
	}
	p.client = m.FDs[0]
	p.auth = ipc.New(m.FDs[1], ipc.SessionAuthd, ipc.Session)
	p.lane.SetState(ipc.SessionLogin)
	p.notice.SetState(ipc.SessionLogin)
	p.tell("puppet")
	for {
		line, err := p.line()
		if err != nil {
			return nil
		}
		p.tell("= " + p.obey(line))
	}
}

// atStart is a line to obey before there is a client; set by -ldflags -X.
var atStart string

func (p *puppeteer) tell(s string) { _, _ = unix.Write(p.client, []byte(s+"\r\n")) }

// line reads one line of the client's, byte by byte: nobody is in a hurry.
func (p *puppeteer) line() (string, error) {
	var line []byte
	b := make([]byte, 1)
	for {
		n, err := unix.Read(p.client, b)
		switch {
		case err == unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(p.client), Events: unix.POLLIN}}, -1)
			continue
		case err == unix.EINTR:
			continue
		case err != nil:
			return "", err
		case n == 0:
			return "", io.EOF
		case b[0] == '\n':
			return strings.TrimSpace(string(line)), nil
		}
		line = append(line, b[0])
	}
}

func (p *puppeteer) obey(line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	if verb == "TRY" {
		for i := range p.attempts {
			if p.attempts[i].Name == rest {
				return p.attempts[i].Result(p.env)
			}
		}
		return "no such attempt"
	}
	f := strings.Fields(rest)
	if verb == "STATE" {
		return fmt.Sprint(p.lane.State())
	}
	if len(f) < 1 {
		return "what?"
	}
	if verb == "LOGIN" && len(f) == 2 {
		return p.login(f[0], f[1])
	}
	if verb == "LINGER" {
		seconds, _ := strconv.Atoi(f[0])
		return p.linger(seconds)
	}
	c, d := p.channel(f[0])
	if c == nil {
		return "no such channel"
	}
	n := 1
	if len(f) > 2 {
		n, _ = strconv.Atoi(f[2])
	}
	switch {
	case verb == "WAIT":
		return wait(c)
	case verb == "SEND" && len(f) >= 2:
		return many(n, func() error { return sendRow(c.FD(), d, f[1], nil) })
	case verb == "FLOOD" && len(f) == 3:
		return many(n, func() error {
			for {
				if err := sendRow(c.FD(), d, f[1], nil); err != unix.EAGAIN {
					return err
				}
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.FD()), Events: unix.POLLOUT}}, 1000)
			}
		})
	case verb == "FDS" && len(f) == 3:
		return Name(sendRow(c.FD(), d, f[1], slices.Repeat([]int{w5}, n)))
	case verb == "RAW" && len(f) >= 2:
		b, err := hex.DecodeString(f[1])
		if err != nil {
			return err.Error()
		}
		return many(n, func() error { return datagram(c.FD(), b, nil) })
	case verb == "HUGE" && len(f) == 2:
		size, _ := strconv.Atoi(f[1])
		return Name(datagram(c.FD(), make([]byte, size), nil))
	}
	return "what?"
}

// w5 is a descriptor to pass where none belongs: the session's own page.
const w5 = 5

// Name shortens a result.
var Name = attack.Name

func (p *puppeteer) channel(name string) (*ipc.Conn, *ipc.Dialogue) {
	switch name {
	case "lane":
		return p.lane, ipc.SessionLane
	case "notice":
		return p.notice, ipc.SessionNotice
	case "auth":
		return p.auth, ipc.SessionAuthd
	case "files":
		return p.files, ipc.SessionFiles
	}
	return nil, nil
}

func many(n int, f func() error) string {
	for i := range n {
		if err := f(); err != nil {
			return fmt.Sprintf("%s after %d", Name(err), i)
		}
	}
	return attack.OK
}

// sendRow sends the zero value of a row, whoever it belongs to, in any state.
func sendRow(fd int, d *ipc.Dialogue, name string, fds []int) error {
	for _, r := range d.Rows {
		if fmt.Sprintf("%T", r.Body) == "ipc."+name {
			b, err := d.Encode(r.Body)
			if err != nil {
				return err
			}
			return datagram(fd, b, fds)
		}
	}
	return fmt.Errorf("no message %s in %s", name, d.Name)
}

func (p *puppeteer) linger(seconds int) string {
	l := unix.Linger{Onoff: 1, Linger: int32(seconds)}
	if err := unix.SetsockoptLinger(p.client, unix.SOL_SOCKET, unix.SO_LINGER, &l); err != nil {
		return Name(err)
	}
	for b := make([]byte, 64<<10); ; {
		if _, err := unix.Write(p.client, b); err != nil {
			unix.Exit(0)
		}
	}
}

func datagram(fd int, b []byte, fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if oob == nil {
		return unix.Send(fd, b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	}
	return unix.Sendmsg(fd, b, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}

// wait receives one message, five seconds at most. A signature that is not given
// is "refused".
func wait(c *ipc.Conn) string {
	if err := c.SetTimeout(5 * time.Second); err != nil {
		return err.Error()
	}
	m, err := c.Recv()
	if err != nil {
		return err.Error()
	}
	m.Close()
	if r, ok := m.Body.(*ipc.SignReply); ok && len(r.Signature) == 0 {
		return "refused"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m.Body), "*ipc.")
}

// login goes the honest way, so that what follows is tried from state "open".
func (p *puppeteer) login(user, password string) string {
	reply, _, err := ipc.Call[ipc.AuthReply](p.auth, &ipc.AuthRequest{User: user, Secret: []byte(password), Method: "password"})
	if err != nil {
		return "auth: " + err.Error()
	}
	if reply.Verdict != ipc.VerdictOK {
		return fmt.Sprintf("verdict %d", reply.Verdict)
	}
	ch, fds, err := ipc.Call[ipc.FilesChannel](p.lane, &ipc.TakeFiles{})
	if err != nil || len(fds) != 2 {
		return fmt.Sprintf("take files: %v, %+v", err, ch)
	}
	p.files = ipc.New(fds[0], ipc.SessionFiles, ipc.Session)
	p.lane.SetState(ipc.SessionOpen)
	p.notice.SetState(ipc.SessionOpen)
	return attack.OK
}
