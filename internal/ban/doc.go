// Package ban decides what an event costs. It holds the list of bans with all
// that is known of each, and the counters of events; it reads no clock, opens no
// file and knows no socket. Master owns the one [Engine], calls it on its loop,
// mirrors the list into shared memory ([Mirror]), where authd and master's own
// accept look it up, and keeps a journal of it ([Encode], [Replay]).
//
// What an event may cost is bounded by who reports it: an event of a session can
// only ban that session's address; user, user@address and class are banned by
// events that master and authd have seen themselves (see events.go).
package ban
