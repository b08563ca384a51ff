package ipc

// States of master-authd.
const (
	AuthdStarting State = 1 << iota // before the first AuthdReady
	AuthdServing
)

// AuthdConfig hands authd its view (policy.Authd); again after every reload.
// Descriptor: the blob. The answer is AuthdReady.
type AuthdConfig struct {
	Generation uint32
}

// AuthdReady answers AuthdConfig. Errors is what an administrator must know:
// files that cannot be used and why; authd serves with what it has.
type AuthdReady struct {
	Generation uint32
	OK         bool
	Errors     []string `ipc:"64"`
}

// Attach announces a session; the facts are master's. Descriptor: authd's end
// of its login channel.
type Attach struct {
	Session  uint64
	Peer     string `ipc:"64"`
	Local    string `ipc:"64"`
	Host     string `ipc:"256"` // name of the policy.AuthHost to use
	Class    string `ipc:"64"`
	Protocol string `ipc:"8"`
	Failed   uint32 // attempts already failed (authd was restarted)
}

// Detach says that a session is gone: its work is cancelled, its PAM session
// closed, its channels dropped.
type Detach struct {
	Session uint64
}

// LoginReport says that an attempt is right, and who the user is. Master
// applies its own rules (min_uid, limits), starts files and answers LoginOutcome.
type LoginReport struct {
	Session    uint64
	User       string `ipc:"256"`
	UID        uint32
	GID        uint32
	Groups     []uint32 `ipc:"1024"` // supplementary
	GroupNames []string `ipc:"1024"` // of primary and supplementary, for selectors
	Home       string
	Shell      string `ipc:"1024"`
	Source     string `ipc:"16"` // "file" "unix" "pam"
	Profile    string `ipc:"64"` // reserved
}

// LoginOutcome answers LoginReport: what the verdict will be.
type LoginOutcome struct {
	Session uint64
	OK      bool
	Reason  string `ipc:"256"` // for the log
	Close   bool   // not retryable: Refused, else it counts as a failed attempt
	Text    string `ipc:"512"` // for the client, where a limit has words of its own
}

// LoginFailed reports a refused attempt, for the log and (later) for bans.
type LoginFailed struct {
	Session uint64
	User    string `ipc:"256"`
	Reason  string `ipc:"256"` // texts of docs/AUTH.md, no client bytes
	Source  string `ipc:"16"`
	Failed  uint32 // attempts failed on this connection, this one included
	Last    bool
}

// Released says that a success has been told to the session.
type Released struct {
	Session uint64
}

// Names gives authd its end of a files-authd channel. Descriptor: it.
type Names struct {
	Session uint64
}

// HashWorker gives authd a hash worker. Descriptor: the authd-hash channel.
type HashWorker struct {
	PID uint32
}

// NeedHash asks for a hash worker, because one died or none was given.
type NeedHash struct{}

// NeedPam asks master to start a pam helper for a session's login attempt.
type NeedPam struct {
	Session uint64
}

// PamHelper answers NeedPam. Descriptor: the authd-pam channel; absent: failed.
type PamHelper struct {
	Session uint64
}

// AuthdLog is a line for the log, from authd's own affairs.
type AuthdLog struct {
	Level uint8  // syslog priority
	Text  string `ipc:"1024"`
}

// Ping asks whether authd's loop turns.
type Ping struct{}

// Pong answers Ping.
type Pong struct{}

// MasterAuthd is asynchronous in both directions.
var MasterAuthd = newDialogue(&Dialogue{
	Name: "master-authd", Version: 1, States: []string{"starting", "serving"},
	Rows: []Row{
		{Kind: 1, From: Master, In: AnyState, FDs: 1, Body: AuthdConfig{}},
		{Kind: 2, From: Authd, In: AnyState, Body: AuthdReady{}},
		{Kind: 3, From: Master, In: AuthdServing, FDs: 1, Body: Attach{}},
		{Kind: 4, From: Master, In: AuthdServing, Body: Detach{}},
		{Kind: 5, From: Authd, In: AuthdServing, Body: LoginReport{}},
		{Kind: 6, From: Master, In: AuthdServing, Body: LoginOutcome{}},
		{Kind: 7, From: Authd, In: AuthdServing, Body: LoginFailed{}},
		{Kind: 8, From: Authd, In: AuthdServing, Body: Released{}},
		{Kind: 9, From: Master, In: AuthdServing, FDs: 1, Body: Names{}},
		{Kind: 10, From: Master, In: AnyState, FDs: 1, Body: HashWorker{}},
		{Kind: 11, From: Authd, In: AnyState, Body: NeedHash{}},
		{Kind: 12, From: Authd, In: AuthdServing, Body: NeedPam{}},
		{Kind: 13, From: Master, In: AuthdServing, FDs: 1, MayFD: true, Body: PamHelper{}},
		{Kind: 14, From: Authd, In: AnyState, Body: AuthdLog{}},
		{Kind: 15, From: Master, In: AnyState, Body: Ping{}},
		{Kind: 16, From: Authd, In: AnyState, Body: Pong{}},
	},
})
