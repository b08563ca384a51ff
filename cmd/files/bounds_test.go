package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// inFlight sends n descriptors as the test's user and does not receive them; the
// function that it returns does away with them.
func inFlight(t *testing.T, n int) (done func()) {
	t.Helper()
	var fds []int
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread has become somebody else
		failed <- func() error {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, testUID, testUID, testUID); errno != 0 {
				return errno
			}
			for sent := 0; sent < n; {
				p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				fds = append(fds, p[0], p[1])
				some := make([]int, min(n-sent, 200))
				for i := range some {
					some[i] = p[0]
				}
				if err := unix.Sendmsg(p[0], []byte("x"), unix.UnixRights(some...), nil, 0); err != nil {
					return err
				}
				sent += len(some)
			}
			return nil
		}()
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// The kernel lets a user have only so many descriptors on their way. Where the
// sessions of one uid have used them up, files waits, and then says no; it does
// not end the session.
func TestDescriptorsThatCannotBePassed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs a second identity")
	}
	dir, _ := home(t)
	p := start(t, sandbox.Enforce)
	p.enter(t, dir, dir)
	done := inFlight(t, 4500) // beyond RLIMIT_NOFILE of a files process
	_, err := p.client.OpenRead("/f", 0)
	if vfs.Broken(err) || vfs.Text(err) != "Resource temporarily unavailable" {
		t.Errorf("RETR: %v", err)
	}
	if _, err := p.client.Stat("/f", true); err != nil {
		t.Errorf("and then: %v", err)
	}
	done()
	o, err := p.client.OpenRead("/f", 0)
	if err != nil {
		t.Fatalf("RETR when there is room again: %v", err)
	}
	unix.Close(o.FD)
}

// No operation keeps a descriptor, whether it succeeds or fails.
func TestNothingKeepsADescriptor(t *testing.T) {
	dir, foreign := home(t)
	if err := os.Symlink(foreign, dir+"/out"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o666); err != nil {
		t.Fatal(err)
	}
	p := start(t, sandbox.Enforce)
	p.names.Close()
	p.enter(t, dir, dir)
	c := p.client
	read := func(o vfs.Opened, _ error) { unix.Close(o.FD) }
	list := func(path, shown, options string, form uint8) {
		if l, err := c.List(ipc.List{Path: path, Shown: shown, Options: options, Form: form, Facts: ipc.AllFacts}); err == nil {
			_, _ = l.Next()
		}
	}
	round := func() {
		_ = c.Mkdir("/d")
		for _, path := range []string{"/f", "/no", "/d", "/", "/out", "/out/f", "/f/x", "/fifo", "/d/\x00"} {
			_, _ = c.Stat(path, true)
			_, _ = c.ChangeDir(path)
			read(c.OpenRead(path, 0))
			read(c.OpenRead(path, 99))
			_ = c.Mkdir(path)
			for form := range ipc.FormMLST + 1 {
				list(path, path, "aR", form)
			}
			list(path+"*", path+"*", "", ipc.FormNames)
			list(path+"/*/*", path+"/*/*", "", ipc.FormList)
			for how := range ipc.WriteUnique + 1 {
				read(c.OpenWrite(path+".new", how, 0))
				read(c.OpenWrite(path, how, 3))
				read(c.OpenWrite("/d", how, 0))
			}
			_ = c.Rename(path, path)
			_ = c.Rename(path, "/d/x/y")
			_ = c.Rmdir(path + ".new")
			_ = c.Remove(path + ".new")
		}
		list("/d*", "d*", "", ipc.FormNames)
		for _, e := range first(os.ReadDir(dir + "/d")) {
			_ = c.Remove("/d/" + e.Name())
		}
		_ = c.Rmdir("/d")
	}
	count := func() int {
		dir := fmt.Sprintf("/proc/%d/fd", p.child.PID)
		l, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range l {
			// The runtime makes an epoll set and an eventfd when it first needs a timer.
			if to, err := os.Readlink(dir + "/" + e.Name()); err != nil || !strings.HasPrefix(to, "anon_inode:[event") {
				n++
			}
		}
		return n
	}
	round()
	before := count()
	for range 20 {
		round()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if _, err := c.Stat("/f", true); err != nil {
		t.Error(err)
	}
}

func first[T any](v T, _ error) T { return v }
