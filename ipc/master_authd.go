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
	TLS      string `ipc:"256"` // name of the policy.TLSHost; "" for none
	Open     bool   // logged in: the channel is for signatures alone
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
	Source     string `ipc:"16"`  // "file" "unix" "pam"
	Method     string `ipc:"16"`  // of the AuthRequest
	Named      string `ipc:"256"` // what the client named, where it is an alias
	Anonymous  uint32 // id of the policy.Anonymous whose directory and settings it gets; 0: none
	Email      string `ipc:"256"` // what an anonymous client gave as its password
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

// Rehost changes the facts of Attach: the session has chosen another host by
// name, or a proxy has told where it comes from. A name that waits for its
// password is forgotten, failures are not. The answer is Rehosted; the session
// hears of the change after it.
type Rehost struct {
	Session uint64
	Peer    string `ipc:"64"`
	Local   string `ipc:"64"`
	Host    string `ipc:"256"`
	Class   string `ipc:"64"`
	TLS     string `ipc:"256"` // name of the policy.TLSHost
}

// Rehosted answers Rehost.
type Rehosted struct {
	Session uint64
}

// DataMade says that master has given the session a data connection: it may ask
// for one more signature.
type DataMade struct {
	Session uint64
}

// AuthdEvent is an event of a session's client that authd has seen: for the log
// and (later) for bans.
type AuthdEvent struct {
	Session uint64
	Event   string `ipc:"32"`  // "SignerAbuse" "RootLogin" "UnknownUser" ...
	Detail  string `ipc:"256"` // no client bytes
	User    string `ipc:"256"` // as the client typed it; "" where none is meant
}

// Expiring lists the certificates that authd serves, at every change and once a
// day, for `ftpdctl status` and the log.
type Expiring struct {
	Certificates []CertificateInfo `ipc:"256"`
}

// CertificateInfo is what may be told of a certificate.
type CertificateInfo struct {
	File     string `ipc:"1024"`
	Subject  string `ipc:"256"`
	NotAfter int64  // Unix seconds
	Self     bool   // self-signed
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

// BanShare gives authd the ban table to look users up in. Descriptor: read-only.
type BanShare struct{}

// LoginAnswered says that the answer to a failed attempt has gone to the session:
// where bans are looked up, whom that attempt has banned can be ended behind it.
type LoginAnswered struct {
	Session uint64
}

// MasterAuthd is asynchronous in both directions.
var MasterAuthd = newDialogue(&Dialogue{
	Name: "master-authd", Version: 2, States: []string{"starting", "serving"},
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
		{Kind: 17, From: Master, In: AuthdServing, Body: Rehost{}},
		{Kind: 18, From: Authd, In: AuthdServing, Body: Rehosted{}},
		{Kind: 19, From: Master, In: AuthdServing, Body: DataMade{}},
		{Kind: 20, From: Authd, In: AuthdServing, Body: AuthdEvent{}},
		{Kind: 21, From: Authd, In: AnyState, Body: Expiring{}},
		{Kind: 30, From: Master, In: AnyState, FDs: 1, Body: DelayShare{}},
		{Kind: 31, From: Master, In: AnyState, Body: DelayReset{}},
		{Kind: 32, From: Authd, In: AnyState, Body: DelayCleared{}},
		{Kind: 33, From: Master, In: AnyState, Body: DelayExplain{}},
		{Kind: 34, From: Authd, In: AnyState, Body: DelayExplained{}},
		{Kind: 35, From: Master, In: AnyState, Body: DelayTrace{}},
		{Kind: 36, From: Authd, In: AnyState, Body: DelayNote{}},
		{Kind: 40, From: Master, In: AnyState, FDs: 1, Body: BanShare{}},
		{Kind: 41, From: Authd, In: AuthdServing, Body: LoginAnswered{}},
	},
})
