//go:build linux

// Baseline is the least that a file server of separate processes costs: what
// Sallyport's processes have to do for a login, a question about a file and a
// small transfer, and nothing else. No password is checked, nothing is confined,
// bounded, counted or logged, and messages are bare bytes. It is there to be
// measured beside the servers, on loopback, and is no server for anything.
//
//	baseline master ADDRESS:PORT DIRECTORY
//
// The master accepts clients, starts two programs for each, opens passive
// listeners (the next one together with the connection of the last) and accepts
// on them. The session reads the client's commands. The files program opens and
// looks at files.
package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Descriptors of the programs a master starts.
const (
	control = 3 // the client's connection, of a session
	lane    = 4 // of a session to its master
	channel = 5 // of a session to its files program, and of that
)

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "master":
		fail(master(os.Args[2], os.Args[3]))
	case len(os.Args) == 2 && os.Args[1] == "session":
		session()
	case len(os.Args) == 3 && os.Args[1] == "files":
		fail(files(os.Args[2]))
	default:
		fail(fmt.Errorf("usage: baseline master ADDRESS:PORT DIRECTORY"))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

// receive is recvmsg(2) that blocks without telling the Go scheduler: there is
// one goroutine. It returns a descriptor that came along, or -1.
func receive(fd int, b, oob []byte) (n, got int) {
	iov := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	h := unix.Msghdr{Iov: &iov, Iovlen: 1}
	if len(oob) > 0 {
		h.Control, h.Controllen = &oob[0], uint64(len(oob))
	}
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return -1, -1
		}
		if h.Controllen < unix.SizeofCmsghdr+4 || len(oob) == 0 {
			return int(r), -1
		}
		return int(r), int(*(*int32)(unsafe.Pointer(&oob[unix.SizeofCmsghdr])))
	}
}

// transmit is sendmsg(2) with a descriptor, unless that is -1.
func transmit(fd int, b []byte, pass int) {
	var oob []byte
	if pass >= 0 {
		oob = unix.UnixRights(pass)
	}
	iov := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	h := unix.Msghdr{Iov: &iov, Iovlen: 1}
	if len(oob) > 0 {
		h.Control, h.Controllen = &oob[0], uint64(len(oob))
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_NOSIGNAL)
}

func master(address, dir string) error {
	runtime.LockOSThread()
	signal.Ignore(unix.SIGCHLD) // the kernel reaps
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l, _, err := listen(at)
	if err != nil {
		return err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	watch(ep, l)
	lanes, listeners := map[int]int{}, map[int]int{} // lane -> its listener, listener -> its lane
	open := func(lane int) []byte {
		p, port, err := listen(netip.AddrPortFrom(at.Addr(), 0))
		fail(err)
		watch(ep, p)
		lanes[lane], listeners[p] = p, lane
		return strconv.AppendUint(nil, uint64(port), 10)
	}
	drop := func(lane int) {
		if p := lanes[lane]; p > 0 {
			unix.Close(p)
			delete(listeners, p)
		}
		delete(lanes, lane)
		unix.Close(lane)
	}
	var events [64]unix.EpollEvent
	var b [16]byte
	for {
		n, err := unix.EpollWait(ep, events[:], -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			to, isPassive := listeners[fd]
			switch {
			case fd == l:
				if c, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC); err == nil {
					lane, err := start(self, dir, c)
					fail(err)
					lanes[lane] = 0
					watch(ep, lane)
				}
			case isPassive:
				if c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC); err == nil {
					next := open(to)
					transmit(to, next, c)
					unix.Close(c)
				}
				unix.Close(fd)
				delete(listeners, fd)
			default:
				if n, _ := receive(fd, b[:], nil); n > 0 {
					transmit(fd, open(fd), -1)
				} else {
					drop(fd)
				}
			}
		}
	}
}

func watch(ep, fd int) {
	fail(unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
}

func listen(at netip.AddrPort) (fd int, port uint16, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, 0, err
	}
	port = at.Port()
	for {
		if at.Port() == 0 { // the kernel's own search takes milliseconds where many ports wait
			port = uint16(32768 + rand.IntN(28000))
		}
		err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(port)})
		if err == nil {
			err = unix.Listen(fd, 128)
		}
		if err == nil {
			return fd, port, nil
		}
		if at.Port() != 0 || err != unix.EADDRINUSE {
			return -1, 0, err
		}
	}
}

// start starts the two programs of a client and returns the lane to its session.
func start(self, dir string, client int) (int, error) {
	a, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	b, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	env := []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1"}
	session := syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2, uintptr(client), uintptr(a[1]), uintptr(b[0])}}
	if _, err := syscall.ForkExec(self, []string{"baseline", "session"}, &session); err != nil {
		return -1, err
	}
	files := syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2, ^uintptr(0), ^uintptr(0), uintptr(b[1])}}
	if _, err := syscall.ForkExec(self, []string{"baseline", "files", dir}, &files); err != nil {
		return -1, err
	}
	for _, fd := range []int{client, a[1], b[0], b[1]} {
		unix.Close(fd)
	}
	return a[0], nil
}

// client is what a session knows.
type client struct {
	out  []byte
	oob  [64]byte
	b    [64 << 10]byte
	data []byte // port of the next listener
}

func session() {
	fail(unix.SetsockoptInt(control, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	c := &client{}
	c.reply("220 baseline")
	var in [4096]byte
	for have := 0; ; {
		n, _ := receive(control, in[have:], nil)
		if n <= 0 {
			return
		}
		for have += n; ; {
			i := bytes.IndexByte(in[:have], '\n')
			if i < 0 {
				break
			}
			verb, arg, _ := strings.Cut(strings.TrimRight(string(in[:i]), "\r"), " ")
			have = copy(in[:], in[i+1:have])
			if !c.answer(verb, arg) {
				return
			}
		}
		if have == len(in) {
			return
		}
	}
}

func (c *client) reply(text string) {
	c.out = append(append(c.out[:0], text...), '\r', '\n')
	_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, control, uintptr(unsafe.Pointer(&c.out[0])), uintptr(len(c.out)), unix.MSG_NOSIGNAL, 0, 0)
}

// ask asks the files program and returns its answer, with a descriptor or -1.
func (c *client) ask(what byte, name string) (string, int) {
	transmit(channel, append(append(c.out[:0], what), name...), -1)
	n, fd := receive(channel, c.b[:], c.oob[:])
	if n <= 0 {
		os.Exit(1)
	}
	return string(c.b[:n]), fd
}

// connection is the data connection, with which the next listener's port comes.
func (c *client) connection() int {
	n, fd := receive(lane, c.b[:], c.oob[:])
	if n <= 0 {
		os.Exit(1)
	}
	c.data = append(c.data[:0], c.b[:n]...)
	return fd
}

func (c *client) answer(verb, arg string) bool {
	switch verb {
	case "USER":
		c.reply("331 password")
	case "PASS":
		c.reply("230 in")
	case "TYPE", "NOOP":
		c.reply("200 ok")
	case "SIZE":
		size, _ := c.ask('s', arg)
		c.reply("213 " + size)
	case "MLST":
		size, _ := c.ask('s', arg)
		c.reply("250-\r\n type=file;size=" + size + "; " + arg + "\r\n250 end")
	case "EPSV":
		if len(c.data) == 0 {
			transmit(lane, []byte{'p'}, -1)
			n, _ := receive(lane, c.b[:], nil)
			c.data = append(c.data, c.b[:max(n, 0)]...)
		}
		c.reply("229 passive (|||" + string(c.data) + "|)")
		c.data = c.data[:0]
	case "RETR":
		size, file := c.ask('r', arg)
		n, _ := strconv.Atoi(size)
		data := c.connection()
		c.reply("150 opening")
		for off := int64(0); off < int64(n); {
			if k, err := unix.Sendfile(data, file, &off, n-int(off)); k <= 0 || err != nil {
				break
			}
		}
		unix.Close(data)
		unix.Close(file)
		c.reply("226 done")
	case "STOR":
		_, file := c.ask('w', arg)
		data := c.connection()
		c.reply("150 opening")
		for {
			n, _ := receive(data, c.b[:], nil)
			if n <= 0 {
				break
			}
			_, _ = unix.Write(file, c.b[:n])
		}
		unix.Close(file)
		c.reply("226 done")
		unix.Close(data)
	case "QUIT":
		c.reply("221 bye")
		return false
	default:
		c.reply("502 no " + verb)
	}
	return true
}

// files answers questions about files of one directory until the session ends.
func files(dir string) error {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var b [4096]byte
	for {
		n, _ := receive(channel, b[:], nil)
		if n <= 1 {
			return nil
		}
		name, fd := string(b[1:n]), -1
		switch b[0] {
		case 'r':
			fd = openBeneath(root, name, unix.OpenHow{Flags: unix.O_RDONLY})
		case 'w':
			fd = openBeneath(root, name, unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, Mode: 0o644})
		}
		var st unix.Stat_t
		if fd >= 0 {
			err = unix.Fstat(fd, &st)
		} else {
			err = unix.Fstatat(root, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
		if err != nil {
			st.Size = -1
		}
		transmit(channel, strconv.AppendInt(b[:0], st.Size, 10), fd)
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func openBeneath(root int, name string, how unix.OpenHow) int {
	how.Flags |= unix.O_CLOEXEC
	how.Resolve = unix.RESOLVE_BENEATH
	fd, err := unix.Openat2(root, name, &how)
	if err != nil {
		return -1
	}
	return fd
}
