// Package control is the administrator's channel to a running daemon: the
// protocol of the control socket, the server that master runs and the client
// that ftpdctl is.
//
// One request a connection: the client writes a frame, the server answers with
// a frame and closes. A frame is a four-byte big-endian length and that many
// bytes of JSON, a request at most [MaxRequest], a response at most
// [MaxResponse]. Who asks is what the kernel says (SO_PEERCRED, SO_PEERGROUPS);
// nothing in a request is believed about its sender. docs/CONTROL.md is the
// reference of actions, fields and codes.
//
// The server lives on goroutines of its own and calls a [Backend]; master
// implements it by posting to its loop, so that no client of the control socket
// can hold up the loop.
package control
