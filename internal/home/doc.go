// Package home makes the home directory of a user who has none. It runs in the
// process owner, as root with the right to give files away and little else, one
// home a process.
//
// A path is walked from "/" component by component, on descriptors and never
// through a link that somebody else than root could have placed. The home is built
// under a temporary name that only root can enter, and gets its name, mode and
// owner when it is whole: nobody can change what is under construction, and a
// home is there entirely or not at all. One that exists is never touched.
package home
