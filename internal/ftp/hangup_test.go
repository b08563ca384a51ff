package ftp

import (
	"net"
	"testing"
)

// TestHangUpWhileWaitingForData: a client that closes its half of the control
// connection while a data connection is awaited is given up long before
// TimeoutStalled; nothing of it stays.
func TestHangUpWhileWaitingForData(t *testing.T) {
	t.Parallel()
	o := ordinary()
	o.View.TimeoutStalled = 3600
	w := begin(t, o)
	w.login()
	w.cmd("EPSV")
	w.send("NLST\r\n")
	must(t, w.client.(*net.TCPConn).CloseWrite())
	w.ended()
}
