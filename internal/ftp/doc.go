// Package ftp is the FTP server protocol (RFC 959, 2228's reply form, 2389,
// 2428, 2640, 3659) of one client's session. It is what runs in a session
// process: [Serve] takes a client's control connection and the channels of
// package ipc and returns when the session is over.
//
// The package opens nothing. Files come as open descriptors from internal/vfs,
// data connections as connected sockets from master's notices, verdicts from
// authd. What is left is reading commands, keeping the protocol's state and
// moving bytes.
//
// There is one goroutine and there are no timers: it sleeps in ppoll(2) on the
// control connection, master's notices and, during transfers, the data
// connection. A call to master or to the files process blocks until it is
// answered; such a call is a few system calls at the other end.
//
// Order within a session: the control line is read into a bounded buffer
// ([reader]), a complete line is looked up in the table of commands, the
// command's conditions (login, RNFR, number of words) are checked there and not
// in the handlers, the handler replies, replies are sent when no other complete
// line waits. A broken connection or an order from master to leave is sticky:
// replies vanish and every loop ends.
//
// docs/FTP.md lists the commands and what differs from the reference.
package ftp
