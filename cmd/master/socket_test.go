package main

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lingering returns a connection whose close is to wait for a client that does not
// read: as a session may have left it.
func lingering(t *testing.T) (fd int, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp4", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fd, _, err = unix.Accept4(int(f.Fd()), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 64<<10); err == nil; {
		_, err = unix.Write(fd, b)
	}
	return fd, client
}

// TestMasterWaitsForNoClient when it closes what a session has had in its hands.
func TestMasterWaitsForNoClient(t *testing.T) {
	for name, end := range map[string]func(l *loop, fd int){
		"the control connection": func(l *loop, fd int) { l.farewell(&fd, []byte("421 Good bye\r\n")) },
		"a data connection":      func(l *loop, fd int) { l.closeShared(fd) },
		"a data connection that waited in a queue": func(l *loop, fd int) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			l.alarm = newAlarm()
			defer l.endAlarm()
			_ = l.flushShared(func() error { return unix.Close(fd) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			fd, client := lingering(t)
			done := make(chan struct{})
			go func() {
				end(&loop{}, fd)
				close(done)
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Error("the close waits for the client")
				client.Close() // ends it
				<-done
			}
		})
	}
}

// TestTheAlarmRests when nothing has been closed for a while, and not before.
func TestTheAlarmRests(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &loop{alarm: newAlarm()}
	defer l.endAlarm()
	if !l.alarm.set {
		t.Fatal("no timer")
	}
	step := func(d time.Duration) {
		l.now += int64(d)
		l.timers.fire(l.now)
	}
	for range 10 {
		l.bounded()
		step(alarmRest / 2)
		if !l.alarm.ticks {
			t.Fatal("it rests while sockets are closed")
		}
	}
	step(alarmRest)
	step(alarmRest)
	if _, waiting := l.timers.next(); l.alarm.ticks || waiting {
		t.Error("it ticks on")
	}
	l.bounded()
	if !l.alarm.ticks {
		t.Error("it does not begin again")
	}
}
