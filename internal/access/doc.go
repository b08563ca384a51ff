// Package access answers who a connection is and what it may have: which class
// and which virtual host, by address or by name; which root, start directory,
// sizes, rates and time a user gets. The answers are pure functions of the
// policy. (Who may use the control socket is internal/control's.)
//
// [New] compiles a policy once; its methods then run at every accept and login.
// Their work does not grow with the size of the configuration: addresses are
// looked up by prefix, hosts by address and name, and selectors are compiled
// once. They may be called from any goroutine.
package access
