package shm

import "strings"

// Counter is one number of the board. Those marked "gauge" also go down.
type Counter uint8

// The counters.
const (
	Accepted           Counter = iota // connections
	HandedOver                        // to a session, at the first byte
	LeftSilent                        // went or timed out without a byte
	RefusedInstances                  // MaxInstances
	RefusedRate                       // MaxConnectionRate
	RefusedUnauth                     // too many not logged in
	RefusedEarly                      // the same, early random drop
	RefusedOrigin                     // too many not logged in from one address or /64
	RefusedHost                       // MaxConnectionsPerHost
	RefusedBan                        // banned
	RefusedOther                      // no session to be had, no descriptor left
	LoginsOK                          //
	LoginsFailed                      // wrong name or secret
	LoginsRefused                     // right, but a limit or rule says no
	LoginsUnavailable                 // nobody could decide
	SessionsLive                      // gauge: connections handed over and not gone
	SessionsOpen                      // gauge: of these, logged in
	SessionsPeak                      // highest SessionsLive
	Downloads                         // transfers, by the sessions' word
	Uploads                           //
	BytesIn                           // by the sessions' word
	BytesOut                          //
	DataConnections                   // handed to sessions
	DataRefused                       // wrong peer, forbidden target
	PoolHits                          // a spare session was ready
	PoolMisses                        // the client had to wait for one
	WorkersStarted                    // all kinds
	WorkersDied                       // that should not have
	WorkersKilled                     // past a deadline
	ProtocolViolations                // processes ended for what they sent
	AuthdRestarts                     //
	Reloads                           //
	ReloadsFailed                     //
	BoardFull                         // sessions without a slot
	LogDropped                        // log records dropped
	NumCounters                       // how many there are
)

var counterNames = [NumCounters]string{
	"accepted", "handed_over", "left_silent",
	"refused_instances", "refused_rate", "refused_unauthenticated", "refused_early", "refused_origin",
	"refused_host", "refused_ban", "refused_other",
	"logins_ok", "logins_failed", "logins_refused", "logins_unavailable",
	"sessions_live", "sessions_open", "sessions_peak",
	"downloads", "uploads", "bytes_in", "bytes_out", "data_connections", "data_refused",
	"pool_hits", "pool_misses", "workers_started", "workers_died", "workers_killed", "protocol_violations",
	"authd_restarts", "reloads", "reloads_failed", "board_full", "log_dropped",
}

// String returns the counter's name as ftpdctl shows it.
func (c Counter) String() string {
	if c < NumCounters {
		return counterNames[c]
	}
	return "unknown"
}

// counterList is the part of the layout hash that says which counter is where.
func counterList() string { return strings.Join(counterNames[:], " ") }
