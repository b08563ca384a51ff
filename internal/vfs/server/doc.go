// Package server is the other end of package vfs: it runs in the files process,
// under the user's own identity, and serves one session.
//
// Everything a path names is reached in one of two ways, and no other call takes
// a path: openat2(2) from the root's descriptor with RESOLVE_IN_ROOT and
// RESOLVE_NO_MAGICLINKS, where ".." and absolute links end at the root; or an
// *at call with a single component below a descriptor opened that way. What is
// decided on a name is decided again on the open file, so that a rename in
// between gains nothing. /proc, /sys and their like are refused by file system
// type wherever they are mounted.
//
// The process holds no right that the user has not; the kernel's answers are
// the answers. The rules of the configuration (AllowOverwrite and the like)
// come on top and are enforced here, since a session may be subverted.
//
// One goroutine serves one request at a time.
package server
