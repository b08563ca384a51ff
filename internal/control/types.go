package control

import "time"

// States of the daemon as Status.State has them.
const (
	StateStarting = "starting"
	StateServing  = "serving"
	StateDegraded = "degraded" // serves, but not as configured; Status.Reasons says what is wrong
	StateStopping = "stopping"
)

// Status is the daemon in one look. Times are RFC 3339 in UTC, counts are since
// the start of the service (an upgrade in place keeps them).
type Status struct {
	State    string   `json:"state"`
	Reasons  []string `json:"reasons,omitempty"` // why degraded, a sentence each
	Version  string   `json:"version"`
	Instance string   `json:"instance"`
	PID      int      `json:"pid"`
	Rootless bool     `json:"rootless"`
	Sandbox  string   `json:"sandbox"`                // "enforce" "log" "off"
	Landlock int      `json:"landlock_abi,omitempty"` // 0: the kernel has none

	Started  time.Time `json:"started"`
	Upgrades int       `json:"upgrades"` // re-executions in place since then

	Config    ConfigStatus     `json:"config"`
	Listeners []ListenerStatus `json:"listeners"`
	Sessions  SessionCounts    `json:"sessions"`
	Workers   []WorkerStatus   `json:"workers"`

	Certificates []CertificateStatus `json:"certificates,omitempty"` // that TLS is served with

	Counters Counters `json:"counters"`
}

// ConfigStatus tells which configuration serves new sessions.
type ConfigStatus struct {
	File        string    `json:"file"`
	Generation  int       `json:"generation"` // 1 at start, +1 a successful reload
	Loaded      time.Time `json:"loaded"`
	ReloadError string    `json:"reload_error,omitempty"` // of the last reload, if it failed
}

// ListenerStatus is one listening socket.
type ListenerStatus struct {
	Label     string `json:"label"`
	Protocol  string `json:"protocol"`
	TLS       string `json:"tls,omitempty"`
	Address   string `json:"address"`   // address:port
	Inherited bool   `json:"inherited"` // handed down by systemd
	Accepting bool   `json:"accepting"`
}

// SessionCounts counts live connections.
type SessionCounts struct {
	Live            int `json:"live"`
	Unauthenticated int `json:"unauthenticated"`    // of these, not logged in
	Waiting         int `json:"waiting"`            // of these, greeted and silent: no process yet
	Max             int `json:"max,omitempty"`      // MaxInstances; 0: no limit
	Pool            int `json:"pool"`               // warm session processes
	Draining        int `json:"draining,omitempty"` // sessions of a former version
}

// WorkerStatus is a process that lives as long as the daemon.
type WorkerStatus struct {
	Role     string    `json:"role"`  // "authd", later "netd"
	State    string    `json:"state"` // "up" "restarting"
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Restarts int       `json:"restarts"`
}

// CertificateStatus is a certificate in use.
type CertificateStatus struct {
	File       string    `json:"file"`
	Subject    string    `json:"subject"`
	Expires    time.Time `json:"expires"`
	Days       int       `json:"days"` // whole days left; -1: it has expired
	SelfSigned bool      `json:"self_signed,omitempty"`
}

// Counters count events.
type Counters struct {
	Connections   uint64 `json:"connections"` // accepted, refused ones included
	Refused       uint64 `json:"refused"`
	Logins        uint64 `json:"logins"`
	LoginFailures uint64 `json:"login_failures"`
	WorkerDeaths  uint64 `json:"worker_deaths"` // sessions and files that ended by a signal or an error
	Violations    uint64 `json:"violations"`    // messages out of state, foreign data connections
	BytesIn       uint64 `json:"bytes_in"`      // of finished sessions; a claim of the sessions
	BytesOut      uint64 `json:"bytes_out"`
	LogDropped    uint64 `json:"log_dropped"` // log records lost because the log did not keep up
}

// Activities of a session as SessionInfo.Activity has them.
const (
	ActivityWaiting        = "waiting"        // greeted, no byte from the client yet
	ActivityAuthenticating = "authenticating" // not logged in
	ActivityIdle           = "idle"
	ActivityCommand        = "command"
	ActivityListing        = "listing"
	ActivityUpload         = "upload"
	ActivityDownload       = "download"
)

// SessionInfo is one live session. Command, Argument, Directory and the
// transfer's figures are what the session process says of itself; all else is
// master's own knowledge.
type SessionInfo struct {
	ID       string `json:"id"` // as in SALLYPORT_SESSION and for kick session
	PID      int    `json:"pid,omitempty"`
	FilesPID int    `json:"files_pid,omitempty"`
	Protocol string `json:"protocol"`
	TLS      bool   `json:"tls"`    // the control connection is protected; explicit TLS is the session's word
	Client   string `json:"client"` // address:port
	Local    string `json:"local"`  // address:port
	Listener string `json:"listener,omitempty"`
	Host     string `json:"host"`
	Class    string `json:"class,omitempty"`
	User     string `json:"user,omitempty"` // empty until login
	UID      uint32 `json:"uid,omitempty"`

	Anonymous bool   `json:"anonymous,omitempty"` // or a guest account
	Email     string `json:"email,omitempty"`     // what an anonymous client gave as its password; unverified
	Proxy     string `json:"proxy,omitempty"`     // address:port of the trusted proxy it came through

	Connected time.Time `json:"connected"`
	Since     time.Time `json:"since"` // when the present activity began
	Activity  string    `json:"activity"`
	Command   string    `json:"command,omitempty"`  // verb
	Argument  string    `json:"argument,omitempty"` // never a password
	Directory string    `json:"directory,omitempty"`
	Transfer  *Transfer `json:"transfer,omitempty"`
}

// Transfer is a transfer in hand.
type Transfer struct {
	Bytes uint64 `json:"bytes"`          // moved so far
	Size  uint64 `json:"size,omitempty"` // of the file where known (downloads)
	Rate  uint64 `json:"rate,omitempty"` // bytes a second, over all of it
}

// What KickRequest.By may say.
const (
	KickUser    = "user"    // login names, exact
	KickHost    = "host"    // client addresses or prefixes
	KickClass   = "class"   // class names
	KickSession = "session" // ids of SessionInfo
)

// KickRequest names the sessions to end.
type KickRequest struct {
	By    string   `json:"by"`
	Names []string `json:"names"`          // 1 to MaxNames
	Max   int      `json:"max,omitempty"`  // at most so many for each name, oldest first; 0: all
	Text  string   `json:"text,omitempty"` // for the client instead of the standard words
}

// KickResult says how many sessions were ended for each name, in its order.
type KickResult struct {
	Kicked []KickCount `json:"kicked"`
}

// KickCount is the real number of sessions ended for Name.
type KickCount struct {
	Name     string `json:"name"`
	Sessions int    `json:"sessions"`
}

// ReloadResult is what a reload did.
type ReloadResult struct {
	Generation  int      `json:"generation"`            // that serves from now on
	Changed     bool     `json:"changed"`               // the compiled configuration differs
	Diagnostics []string `json:"diagnostics,omitempty"` // each may have several lines
}

// TraceLevel is a trace channel and how much of it is logged: 0 off, 20 all.
type TraceLevel struct {
	Channel string `json:"channel"`
	Level   int    `json:"level"`
}

// MaxTraceLevel is the chattiest level of a trace channel.
const MaxTraceLevel = 20
