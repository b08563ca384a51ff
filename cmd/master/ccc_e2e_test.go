package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"
)

// TestDataIsSignedForBehindCCC: the control connection is plain again and data
// stay private. There is no session left to resume, so each data connection needs
// a signature, and who asks for it is no abuser.
func TestDataIsSignedForBehindCCC(t *testing.T) {
	h := prepare(t, true, "tls {\n  allow_ccc = true\n}\n").start()
	raw := h.dial()
	w := raw.secured("ftp.example.org")
	w.do("331", "USER ann")
	w.do("230", "PASS open sesame")
	w.do("200", "PBSZ 0")
	w.do("200", "PROT P")
	w.do("200", "CCC")
	if _, err := w.r.ReadByte(); err != io.EOF {
		t.Fatalf("no close_notify behind CCC: %v", err)
	}
	must(t, w.Conn.(*tls.Conn).CloseWrite())
	must(t, raw.SetWriteDeadline(time.Time{})) // crypto/tls has set one
	w = &wire{t, raw.Conn, bufio.NewReader(raw.Conn)}
	w.do("200", "NOOP")
	for range 3 {
		d := w.passive()
		w.do("150", "NLST")
		c := tls.Client(d, &tls.Config{InsecureSkipVerify: true})
		if _, err := io.ReadAll(c); err != nil {
			t.Error(err)
		}
		c.Close()
		w.reply("226")
	}
	if strings.Contains(h.log.String(), "SignerAbuse") {
		t.Error("an honest session is taken for an abuser")
	}
	h.stop()
}
