// Package shm is what the processes see together without asking each other:
// POSIX shared memory objects under /dev/shm, drawn in layout.go, and one page
// of memory for each session (see [Page]).
//
// Rules that hold for all of them:
//
//   - Every word is read and written by sync/atomic. Memory is only reachable as
//     []atomic.Uint64, so that the compiler refuses anything else.
//   - A record of several words carries a sequence number (see record): odd while
//     it is being written. A reader tries a bounded number of times and then says
//     "unknown"; it never blocks, and it never believes a half-written record. A
//     record that a killed writer left odd is healed by the next writer.
//   - An object has one writing process, which holds its lock. Objects are
//     allocated, not only sized, since a write into a hole of a full tmpfs is a
//     SIGBUS.
//   - A header that does not fit means a new object, never a crash.
package shm
