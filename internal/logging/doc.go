// Package logging is how the daemon speaks: slog records, written by a
// goroutine of its own to the journal (native protocol, every attribute a
// SALLYPORT_ field) or as one line of text to a terminal or a pipe.
//
// A log call never blocks and never fails: the record is encoded at once, into
// bounded memory, and queued; where the queue is full it is counted and dropped,
// and the loss is reported as soon as the log keeps up again. No byte of a
// client can forge a line, a field or a terminal sequence: see [Escape]. The
// address of the client stands before anything the client can choose.
//
// docs/LOGGING.md lists events, MESSAGE_IDs and fields.
package logging
