// Package ipc is how the processes of sallyport talk: one msgpack message per
// SOCK_SEQPACKET datagram, on socketpairs made by master.
//
// Each channel belongs to a [Dialogue]: a closed table that says who may send
// which message in which state, with how many descriptors. A message that the
// table does not allow, that is malformed, oversized or too frequent is an
// error of type [*ProtocolError]; the receiver ends the peer for it.
//
// The msgpack library can be made to ask for gigabytes by eight bytes, and it
// accepts trailing bytes and integers that do not fit. Therefore it reads nothing
// that another process sent: a message is read by a codec that knows the expected
// type and checks while it reads (shape.go, take.go), and accepts exactly what
// that codec writes (put.go), so a message has one encoding. It is also the one
// that the library makes: tests compare every message with it, both ways. The
// library writes the views of the configuration, in master (package blob). What
// the table does not allow in this state, from this side, with these descriptors
// is not even looked at.
//
// Two ways of use: a process with one peer (session, files, hash, pam) calls
// [Call], which blocks; master and authd run an epoll loop and use
// [Conn.TryRecv] and [Queue], which never do.
package ipc
