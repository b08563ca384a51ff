// Package sandbox starts the worker processes and confines them.
//
// Master makes one [Starter] a kind of child. A starter owns an operating-system
// thread whose capability bounding set is trimmed and which has no_new_privs
// set; both are attributes of a thread and are inherited, so master itself
// keeps what it needs while no child can ever get it back.
//
// A worker calls, once, the function named after it: [Session], [Hash], [Files],
// [Authd]. It sets resource limits, makes the process undumpable, applies
// landlock where it belongs and installs a seccomp filter on all threads. The
// order matters: landlock's own calls are refused by the filter. [Master] puts a
// deny list on master and thereby on every child, the pam helper included.
//
// The filters look at arguments, because names of system calls are too coarse:
// sendto can connect (MSG_FASTOPEN), tgkill can kill a sibling, fcntl can make
// the kernel send signals (O_ASYNC) or take O_APPEND off an upload. What a
// filter refuses fails with EPERM and is logged by the kernel; what only an
// intruder would try (another program, another process, a socket) kills the
// process.
//
// A child refuses to run where a step fails. The exception is landlock, which
// many kernels lack: it is the second wall behind the identity, the empty
// chroot and the filter, so its absence is reported, by [SelfTest] at start and
// by the note that [Session] and [Files] return.
package sandbox
