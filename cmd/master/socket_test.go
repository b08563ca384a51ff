package main

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFarewellWaitsForNobody: what a session has asked of its client's socket does
// not make master wait for a client that does not read.
func TestFarewellWaitsForNobody(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, _, err := unix.Accept4(int(f.Fd()), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 64<<10); err == nil; {
		_, err = unix.Write(fd, b)
	}
	loop := &loop{}
	done := make(chan struct{})
	go func() {
		loop.farewell(&fd, []byte("421 Good bye\r\n"))
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the close waits for the client")
	}
	c.Close() // ends the wait
	<-done
}
