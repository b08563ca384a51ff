// Package vfs is the session's view of the user's files: a client that asks the
// files process over [ipc.SessionFiles] and yields open descriptors, facts and
// ready listing lines. The process at the other end is built from
// internal/vfs/server.
//
// Paths are virtual: absolute, as the client of the FTP session sees them, any
// bytes but NUL. [Clean] makes one of what the client typed. The client side is
// a convenience: the server cleans every path again and resolves it by the
// kernel below its root, whatever comes over the channel.
//
// An error of type [*Error] is an answer (no such file, refused by a rule) and
// the session goes on. Every other error means that the channel is gone and the
// session has to leave.
package vfs
