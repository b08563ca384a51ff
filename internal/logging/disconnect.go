package logging

import "strings"

// Disconnect puts the reason for a session's end, in the words of master or of
// the session itself, into those that parsers of %E know; what they do not
// cover stands behind a colon.
func Disconnect(reason string) string {
	if limit, ok := strings.CutPrefix(reason, "login refused: Max"); ok {
		limit, _, _ = strings.Cut(limit, " ")
		return "Configured policy: Denied by Max" + clip(limit, 64)
	}
	for _, d := range disconnects {
		if strings.HasPrefix(reason, d.prefix) {
			return d.text
		}
	}
	if strings.HasPrefix(reason, "killed by ") {
		return "Terminated by signal: " + clip(strings.TrimPrefix(reason, "killed by "), 64)
	}
	if reason == "" {
		return unspecified
	}
	return unspecified + ": " + clip(reason, 128)
}

const unspecified = "Unknown/unspecified"

var disconnects = []struct{ prefix, text string }{
	{"client QUIT", "Quit"},
	{"read EOF from client", "Read EOF from client"},
	{"control connection broken", "Read EOF from client"},
	{"read from client", "Read EOF from client"},
	{"write to client", "Read EOF from client"},
	{"login timeout", "Timeout exceeded: TimeoutLogin"},
	{"idle timeout", "Timeout exceeded: TimeoutIdle"},
	{"no transfer", "Timeout exceeded: TimeoutNoTransfer"},
	{"session timeout", "Timeout exceeded: TimeoutSession"},
	{"data transfer stalled", "Timeout exceeded: TimeoutStalled"},
	{"service stops", "Server shutting down"},
	{"of a former version", "Server shutting down"},
	{"kicked", "Terminated by signal: kicked"},
	{"banned", "Banned"},
	{"login attempts used up", "Configured policy: Denied by MaxLoginAttempts"},
	{"login refused", "Configured policy: Login denied"},
	{"client speaks ", "Configured policy: Unsupported protocol"},
	{"over-long command lines", "Configured policy: Command line too long"},
	{"endless command line", "Configured policy: Command line too long"},
	{"assign: ", "Session initialized failed"},
	{"logins are unavailable", "Application error: authd is down"},
	{"no verdict from authd", "Application error: authd is down"},
	{"files ", "Application error: files ended"},
	{"protocol violation", "Application error: protocol violation"},
}
