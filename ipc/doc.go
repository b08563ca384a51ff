// Package ipc is how the processes of sallyport talk: one msgpack message per
// SOCK_SEQPACKET datagram, on socketpairs made by master.
//
// Each channel belongs to a [Dialogue]: a closed table that says who may send
// which message in which state, with how many descriptors. A message that the
// table does not allow, that is malformed, oversized or too frequent is an
// error of type [*ProtocolError]; the receiver ends the peer for it.
//
// The msgpack library can be made to ask for gigabytes by eight bytes, and it
// accepts trailing bytes and integers that do not fit. Therefore every datagram
// passes a validator that knows the expected type (see shape.go) before the
// library sees it. It accepts exactly what the encoder makes: a message has one
// encoding. What the table does not allow in this state, from this side, with
// these descriptors is not even looked at.
//
// Two ways of use: a process with one peer (session, files, hash, pam) calls
// [Call], which blocks; master and authd run an epoll loop and use
// [Conn.TryRecv] and [Queue], which never do.
package ipc
