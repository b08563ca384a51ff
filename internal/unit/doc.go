// Package unit is what the daemon has to do with systemd: it adopts the sockets
// of the .socket units, tells the service manager how the service is, and feeds
// the watchdog. Without systemd every function does nothing, successfully.
//
// Master calls it: [Adopt] first of all, before anything opens a descriptor,
// then a [Notifier] for the rest of its life. The variables NOTIFY_SOCKET and
// WATCHDOG_* stay in the environment, so that a master that executes itself in
// place goes on notifying; LISTEN_* are removed, since the descriptors they
// name have other numbers and owners from then on.
package unit
