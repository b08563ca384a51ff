package ftp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// Data connections are made by master (RFC 959 §3.2, RFC 2428): PASV and EPSV
// ask it for a listener, PORT and EPRT name a target that it judges, and the
// connected socket comes as a notice, whenever that is.

type linkMode uint8

const (
	linkNone linkMode = iota
	linkPassive
	linkActive
)

// ahead is the listener of the next transfer, which came with the last one's data
// connection: a client that makes transfer after transfer need not wait for master
// each time. Master lets nobody in by it until the page says that it is announced.
type ahead struct {
	passive  bool           // the last transfer was
	extended bool           // by EPSV
	here     *ipc.Listening // nil: none
	until    int64          // by the page's clock; master keeps it for longer
}

// takeAhead returns the listener that came ahead, announced; nil: there is none.
func (s *Session) takeAhead(extended bool) *ipc.Listening {
	r := s.ahead.here
	s.ahead.here = nil
	if r == nil || s.ahead.extended != extended || s.page.Now() > s.ahead.until {
		return nil
	}
	s.page.Announce(r.Seq)
	return r
}

// dataLink is what the client has set up for its next transfer.
type dataLink struct {
	mode  linkMode
	epsv  bool       // by EPSV
	seq   uint32     // of master's answer; notices about another are stale
	came  bool       // fd or errno are known
	fd    int        // the connected socket, -1: none
	errno unix.Errno // why there is none
}

// dataArrived takes a data connection from master.
func (s *Session) dataArrived(d *ipc.Data, fds []int) {
	if s.ahead.here != nil && d.Seq == s.ahead.here.Seq { // master could not keep it
		s.ahead.here = nil
	}
	if s.data.mode == linkNone || s.data.came || d.Seq != s.data.seq {
		closeFDs(fds)
		return
	}
	s.data.came = true
	switch {
	case d.Errno != 0:
		closeFDs(fds)
		s.data.errno = unix.Errno(d.Errno)
	case len(fds) == 1:
		s.data.fd = fds[0]
		if d.Next.Seq != 0 && d.Next.Errno == 0 {
			s.ahead.here, s.ahead.extended, s.ahead.until = &d.Next, s.data.epsv, d.Until
		}
	default:
		s.data.errno = unix.EIO
	}
}

// dropLink forgets what was set up; master forgets its part with the next call.
func (s *Session) dropLink() {
	if s.data.fd >= 0 {
		_ = unix.Close(s.data.fd)
	}
	s.data = dataLink{fd: -1}
}

// onlyExtended refuses verb after EPSV ALL (RFC 2428 §4).
func (s *Session) onlyExtended(verb string) bool {
	if s.onlyEPSV {
		s.reply(500, "Illegal ", verb, " command, EPSV ALL in effect")
	}
	return s.onlyEPSV
}

// onlyNew refuses PASV and PORT after EPSV ALL, and where the host serves none but
// EPSV and EPRT.
func (s *Session) onlyNew(verb string) bool {
	if s.onlyExtended(verb) {
		return true
	}
	if s.view.ExtendedOnly {
		s.reply(501, verb, ": Operation not permitted")
	}
	return s.view.ExtendedOnly
}

// listen asks for a listener. Where there is none the reply is given.
func (s *Session) listen(extended bool) (*ipc.Listening, bool) {
	s.dropLink()
	r := s.takeAhead(extended)
	if r == nil {
		var ok bool
		again := s.ahead.passive && s.turns >= soonAfter
		if r, _, ok = call[ipc.Listening](s, ipc.Passive{Extended: extended, Again: again}); !ok {
			return nil, false
		}
	}
	if r.Seq == 0 || r.Errno != 0 {
		s.reply(425, "Unable to build data connection: Internal error")
		return nil, false
	}
	s.data.mode, s.data.seq, s.data.epsv = linkPassive, r.Seq, extended
	return r, true
}

func pasv(s *Session, _ string) {
	if s.onlyNew("PASV") {
		return
	}
	if !s.local.Addr().Is4() {
		s.reply(425, "Unable to build data connection: PASV is for IPv4, use EPSV")
		return
	}
	r, ok := s.listen(false)
	if !ok {
		return
	}
	a, err := netip.ParseAddr(r.Address)
	if err != nil || !a.Is4() {
		s.dropLink()
		s.reply(425, "Unable to build data connection: no IPv4 address to show")
		return
	}
	b := a.As4()
	s.reply(227, fmt.Sprintf("Entering Passive Mode (%d,%d,%d,%d,%d,%d).", b[0], b[1], b[2], b[3], r.Port>>8, r.Port&0xff))
}

const text522 = "Network protocol not supported, use (1,2)"

// family is the number that RFC 2428 has for the control connection's family.
func (s *Session) family() int64 {
	if s.local.Addr().Is4() {
		return 1
	}
	return 2
}

func epsv(s *Session, arg string) {
	arg = strings.TrimSpace(arg)
	if upper(arg) == "ALL" {
		s.onlyEPSV = true
		s.reply(200, "EPSV ALL command successful")
		return
	}
	if arg != "" {
		n, ok := number(arg)
		if !ok {
			s.reply(501, "EPSV: unknown network protocol")
			return
		}
		if n != s.family() {
			s.reply(522, text522)
			return
		}
	}
	if r, ok := s.listen(true); ok {
		s.reply(229, "Entering Extended Passive Mode (|||", strconv.Itoa(int(r.Port)), "|)")
	}
}

func port(s *Session, arg string) {
	if s.onlyNew("PORT") {
		return
	}
	target, ok := parsePort(strings.TrimSpace(arg))
	if !ok {
		s.reply(501, "Illegal PORT command")
		return
	}
	s.active("PORT", target)
}

// parsePort reads "h1,h2,h3,h4,p1,p2", each 0 to 255.
func parsePort(arg string) (netip.AddrPort, bool) {
	var b [6]byte
	i := 0
	for f := range strings.SplitSeq(arg, ",") {
		n, ok := number(f)
		if i == len(b) || !ok || n > 255 || len(f) > 3 {
			return netip.AddrPort{}, false
		}
		b[i] = byte(n)
		i++
	}
	if i != len(b) {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5])), true
}

func eprt(s *Session, arg string) {
	if s.onlyExtended("EPRT") {
		return
	}
	family, target, ok := parseEPRT(strings.TrimSpace(arg))
	switch {
	case !ok:
		s.reply(501, "Illegal EPRT command")
	case family != s.family():
		s.reply(522, text522)
	default:
		s.active("EPRT", target)
	}
}

// parseEPRT reads "|family|address|port|" with any printing delimiter. Of
// another family than 1 and 2 only the number is looked at.
func parseEPRT(arg string) (family int64, target netip.AddrPort, ok bool) {
	if len(arg) < 2 || arg[0] < 33 || arg[0] > 126 || arg[0] >= '0' && arg[0] <= '9' {
		return 0, target, false
	}
	f := strings.Split(arg, arg[:1])
	if len(f) != 5 || f[4] != "" {
		return 0, target, false
	}
	if family, ok = number(f[1]); !ok {
		return 0, target, false
	}
	if family != 1 && family != 2 {
		return family, target, true
	}
	p, ok := number(f[3])
	if !ok || p < 1 || p > 65535 {
		return 0, target, false
	}
	a, err := netip.ParseAddr(f[2])
	if err != nil || a.Is4() != (family == 1) {
		return 0, target, false
	}
	return family, netip.AddrPortFrom(a, uint16(p)), true
}

// active names a target; the rules about it are master's.
func (s *Session) active(verb string, target netip.AddrPort) {
	s.dropLink()
	r, _, ok := call[ipc.Listening](s, ipc.Active{Target: target.String()})
	if !ok {
		return
	}
	if r.Seq == 0 || r.Refusal != "" || r.Errno != 0 {
		s.event(ipc.EventCommandRefused, "Refused "+verb+" "+target.String()+" ("+r.Refusal+")")
		s.reply(500, "Illegal ", verb, " command")
		return
	}
	s.data.mode, s.data.seq = linkActive, r.Seq
	s.reply(200, verb, " command successful")
}

// connect waits for the data connection of a transfer command. Where it fails
// the reply is given: 425, or 426 if the client thought better of it.
func (s *Session) connect() (sock, bool) {
	if s.data.mode == linkNone {
		s.xfer.open = false
		s.reply(425, "Unable to build data connection: No PORT or PASV")
		return -1, false
	}
	if s.data.mode == linkActive && !s.data.came {
		r, _, ok := call[ipc.Done](s, ipc.Connect{})
		if !ok {
			s.xfer.open = false
			return -1, false
		}
		if r.Errno != 0 {
			s.data.came, s.data.errno = true, unix.Errno(r.Errno)
		}
	}
	s.flush() // a passive client may wait for the last reply before it connects
	known := s.data.came
	err := s.arrival()
	if err == unix.ETIMEDOUT && !known && s.data.mode == linkPassive {
		err = errStalled // master's clock began with PASV and was the first to run out
	}
	fd := s.data.fd
	s.data.fd = -1
	waiting, passive := !s.data.came, s.data.mode == linkPassive
	s.ahead.passive = passive
	s.dropLink()
	if err == nil {
		return sock(fd), true
	}
	s.xfer.open = false
	if fd >= 0 {
		_ = unix.Close(fd)
	}
	if waiting {
		call[ipc.Done](s, ipc.CloseData{})
	}
	if err == errAborted {
		s.reply(426, textAborted)
		return -1, false
	}
	errno := unix.ETIMEDOUT
	if e, ok := err.(unix.Errno); ok {
		errno = e
	}
	s.reply(425, "Unable to build data connection: ", vfs.ErrnoText(errno))
	if passive && err == errStalled {
		s.stalled()
	}
	return -1, false
}

// arrival sleeps until master has delivered, the time is up or the client
// aborts.
func (s *Session) arrival() error {
	switch {
	case s.data.came:
	case s.hasty: // it has connected, or is about to
		s.hear(s.notice.RecvSoon)
	default:
		s.notices() // a client that has connected before its command need not be waited for
	}
	for !s.data.came {
		if err := s.step(-1, 0, true); err != nil {
			return err
		}
	}
	if s.data.errno != 0 {
		return s.data.errno
	}
	return nil
}
