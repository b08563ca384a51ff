package unit

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Notifier sends the state of the service to its manager. The socket is opened
// once, so that a later sandbox need not allow socket(2). A nil Notifier is
// one without a manager. It may be used from any goroutine.
type Notifier struct {
	fd   int
	addr *unix.SockaddrUnix
}

// NewNotifier opens the channel that NOTIFY_SOCKET names, and leaves the
// variable in place. Without it, it returns nil and no error.
func NewNotifier() (*Notifier, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil, nil
	}
	if name[0] != '/' && name[0] != '@' {
		return nil, fmt.Errorf("NOTIFY_SOCKET=%q: neither a path nor an abstract name", name)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("notification socket: %w", err)
	}
	return &Notifier{fd: fd, addr: &unix.SockaddrUnix{Name: name}}, nil
}

// Close releases the socket.
func (n *Notifier) Close() {
	if n != nil {
		unix.Close(n.fd)
	}
}

// Send sends assignments such as "READY=1", one datagram for all.
func (n *Notifier) Send(state ...string) error { return n.send(nil, state) }

func (n *Notifier) send(fds []int, state []string) error {
	if n == nil {
		return nil
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(n.fd, []byte(strings.Join(state, "\n")), oob, n.addr, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("notify the service manager of %s: %w", strings.Join(state, " "), err)
		}
		return nil
	}
}

// Ready says that the service serves, at its start and after Reloading. pid is
// the main process.
func (n *Notifier) Ready(pid int, status string) error {
	return n.Send(daemon.SdNotifyReady, "MAINPID="+strconv.Itoa(pid), statusLine(status))
}

// Status sets the line that `systemctl status` shows.
func (n *Notifier) Status(status string) error { return n.Send(statusLine(status)) }

// Reloading says that the configuration is being read again; Ready ends it,
// whether or not it was accepted.
func (n *Notifier) Reloading(status string) error {
	if n == nil {
		return nil
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return fmt.Errorf("clock_gettime: %w", err)
	}
	usec := strconv.FormatInt(ts.Nano()/1000, 10)
	return n.Send(daemon.SdNotifyReloading, "MONOTONIC_USEC="+usec, statusLine(status))
}

// Stopping says that the service has begun to end.
func (n *Notifier) Stopping(status string) error {
	return n.Send(daemon.SdNotifyStopping, statusLine(status))
}

// Extend asks for d more until a start, reload or stop counts as failed; call it
// again before d is over.
func (n *Notifier) Extend(d time.Duration) error {
	return n.Send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// Watchdog says that the event loop turns.
func (n *Notifier) Watchdog() error { return n.Send(daemon.SdNotifyWatchdog) }

// Store leaves a descriptor with the service manager, in place of one of that
// name, for the next start of the service (FileDescriptorStoreMax=).
func (n *Notifier) Store(name string, fd int) error {
	if err := n.Send("FDSTOREREMOVE=1", "FDNAME="+name); err != nil {
		return err
	}
	return n.send([]int{fd}, []string{"FDSTORE=1", "FDNAME=" + name})
}

func statusLine(s string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}

// WatchdogInterval is how often Watchdog is due: half of WatchdogSec=, or 0
// where no watchdog watches this process.
func WatchdogInterval() (time.Duration, error) {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("WATCHDOG_USEC: %w", err)
	}
	return d / 2, nil
}
