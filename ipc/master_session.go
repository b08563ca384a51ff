package ipc

// Master and session share two channels: a lane on which session asks and
// master answers, one call at a time, and a notice channel on which master
// tells. What session says is a claim; TRUST.md lists what master checks.

// States of both master-session channels.
const (
	SessionIdle  State = 1 << iota // in the pool, no client yet
	SessionLogin                   // a client, not logged in
	SessionOpen                    // logged in
)

// Assign gives a session its only client. Descriptors: the client's socket, the
// authd channel, the view of the configuration (policy.Session, see ReadBlob).
type Assign struct {
	Session  uint64 // id, unique while the service runs; it is in every log line
	Peer     string `ipc:"64"` // address:port of the client, v4-mapped addresses as IPv4
	Local    string `ipc:"64"` // address:port the client called
	Host     string `ipc:"256"`
	Class    string `ipc:"64"` // empty: none
	Protocol string `ipc:"8"`  // "ftp"
	Greeted  bool   // master has written the greeting; else the session does, after PROXY header and TLS handshake
	TLS      bool   // the listener is one of implicit TLS
	Proxy    bool   // a PROXY header comes first of all, and must (ProxyHeader)
}

// Data brings the data connection that the last Passive or Connect call asked
// for, or says why there is none. Descriptor: the connected socket, non-blocking.
type Data struct {
	Seq   uint32    // of the call it belongs to; another one is stale
	Errno uint32    // 0: the socket came along
	Next  Listening // the listener of the next transfer, for Passive.Again; Seq 0: none
	Until int64     // CLOCK_MONOTONIC, nanoseconds: Next is not to be announced after it
}

// End orders the session to send one last reply and to leave. Master kills it
// two seconds later.
type End struct {
	Code uint16 // 421; 0: leave without a word
	Text string `ipc:"512"`
}

// NewAuth replaces the authd channel after authd was restarted. Descriptor: it.
type NewAuth struct{}

// SessionNotice is the channel master -> session.
var SessionNotice = newDialogue(&Dialogue{
	Name: "master-session notice", Version: 3, States: []string{"idle", "login", "open"},
	Rows: []Row{
		{Kind: 1, From: Master, In: SessionIdle, FDs: 3, Body: Assign{}},
		{Kind: 2, From: Master, In: SessionLogin | SessionOpen, FDs: 1, MayFD: true, Body: Data{}},
		{Kind: 3, From: Master, In: AnyState, Body: End{}},
		{Kind: 4, From: Master, In: SessionLogin | SessionOpen, FDs: 1, Body: NewAuth{}},
	},
})

// Passive asks for a listener in the passive range. Any earlier listener,
// pending connection or undelivered data connection of the session is closed.
type Passive struct {
	Extended bool // EPSV: Address is not needed
	// Again says that the client makes transfer after transfer: each connection
	// brings the listener of the next one along, until another call about data or
	// some seconds go by. Nobody gets in by that listener before the session's page
	// names its number as announced (shm.Page).
	Again bool
}

// Listening answers Passive and Active: where the listener is, or why not.
type Listening struct {
	Seq     uint32 // 0: refused
	Errno   uint32
	Address string `ipc:"64"` // for 227
	Port    uint16
	Refusal string `ipc:"64"` // policy, in words for the log: "address mismatch"
}

// Active names the target of PORT or EPRT. Master checks it and remembers it;
// nothing is dialled before Connect. The answer is Listening with Seq or Refusal.
type Active struct {
	Target string `ipc:"64"` // address:port
}

// Connect starts the connection to the remembered target; the answer is Done,
// the socket comes as Data.
type Connect struct{}

// CloseData forgets listener and target. The answer is Done.
type CloseData struct{}

// Done answers a call that has nothing else to say.
type Done struct {
	Errno uint32
	Seq   uint32
}

// TakeFiles asks for the channel to the files process, after authd has released
// a successful verdict; before that it is out of state.
type TakeFiles struct{}

// FilesChannel answers TakeFiles. Descriptors, unless refused: the channel, and
// the view (policy.Session) that holds from now on.
type FilesChannel struct {
	Refused   bool
	Text      string     `ipc:"512"` // for the client where refused: "530 ..." without code
	User      string     `ipc:"256"`
	Home      string     // working directory as the client sees it
	Anonymous bool       // 230 has the words of an anonymous login
	Rates     []RateRule `ipc:"16"`
	Company   Company
}

// Company is what display files tell of the clients that are logged in (%N %M %y
// %z), this one included, as it was at the login.
type Company struct {
	Clients, Most        uint32 // of the host; Most 0: no limit
	OfClass, MostOfClass uint32 // of the client's class
}

// RateRule is the transfer rate of one command, chosen by master for this user.
type RateRule struct {
	Command   string `ipc:"8"` // "RETR" "STOR" "APPE" "STOU"
	PerSecond uint64 // bytes
	Free      uint64 // bytes at the start that are not slowed
}

// Ways to choose a host by name.
const (
	ByHOST uint8 = iota + 1 // the command (RFC 7151)
	BySNI                   // server_name of a TLS handshake (RFC 6066 §3)
)

// SelectHost asks for the host of that name among those of the listener's
// address, before the login. Master settles class, limits and bans anew and
// tells authd; the answer is HostSelected.
type SelectHost struct {
	Name string `ipc:"256"`
	By   uint8
}

// ProxyHeader reports what a PROXY header says; once, first of all, and only
// where Assign.Proxy asked for it. Master believes it where the connection came
// from a trusted address; the answer is HostSelected.
type ProxyHeader struct {
	Local bool   // LOCAL or UNKNOWN: the proxy speaks for itself
	Peer  string `ipc:"64"` // address:port
	To    string `ipc:"64"`
}

// HostSelected answers SelectHost and ProxyHeader. Descriptor: the view of the
// host, unless refused. After a refused ProxyHeader the session leaves with
// Text as its only word ("" for none).
type HostSelected struct {
	Refused bool
	Text    string `ipc:"512"`
	Host    string `ipc:"256"`
	Class   string `ipc:"64"`
	Peer    string `ipc:"64"` // the client, as it is to be seen from now on
	Local   string `ipc:"64"`
}

// BeginTransfer asks whether a transfer may start (max.transfers_per_host and
// _user), where the view says so; the answer is TransferAllowed. The next
// BeginTransfer or EndTransfer ends it.
type BeginTransfer struct {
	Command string `ipc:"8"`
}

// TransferAllowed answers BeginTransfer.
type TransferAllowed struct {
	Refused bool
	Text    string `ipc:"512"` // after 451
}

// EndTransfer says that the transfer in hand is over. No answer.
type EndTransfer struct{}

// Record is what the logs of commands and transfers are written of. All of it
// is the session's word; master adds what it knows itself and escapes the rest.
// No answer.
type Record struct {
	Class    uint32 // of the command, policy.LogAuth and its kin
	Verb     string `ipc:"16"` // "SITE CHMOD"
	Arg      string // PASS: "(hidden)"
	Code     uint16 // of the last reply; 0: none
	Text     string `ipc:"512"` // of it
	Cwd      string
	Path     string // of the file or directory, as the client sees it; "" for none
	From     string // RNFR's, with RNTO
	Named    string `ipc:"256"` // what USER named
	Secret   string `ipc:"256"` // what an anonymous client gave as its password
	Nanos    int64  // from the line to its last reply
	Transfer bool   // the rest is of a transfer, or of a deletion
	Sent     int64  // bytes to the client
	Received int64
	Took     int64 // nanoseconds of the transfer
	Size     int64 // of the file
	Offset   int64
	Existed  bool // the file was there before
	ASCII    bool
	Way      string `ipc:"8"`  // "i" "o" "d"; "" for a listing
	Status   string `ipc:"16"` // "success" "cancelled" "failed" "timeout"
	Failure  string `ipc:"128"`
	Port     uint16 // of the client's end of the data connection
	Protocol string `ipc:"8"` // "ftp" "ftps"
	Cipher   string `ipc:"64"`
	Lost     uint32 // records before this one that were too many to be sent
}

// Report tells master of an event of this client. No answer. Master believes it
// of this session's address alone.
type Report struct {
	Event  string `ipc:"32"`  // one of the Event constants
	Detail string `ipc:"256"` // escaped by master before any log
}

// Events a session may report.
const (
	EventBadProtocol      = "BadProtocol"      // HTTP, SMTP, SSH or TLS on the port
	EventInvalidCommand   = "InvalidCommand"   // empty or over-long lines
	EventUnhandledCommand = "UnhandledCommand" // a verb nobody knows
	EventCommandRefused   = "CommandRefused"   // PORT to a foreign address and the like
	EventTLSHandshake     = "TLSHandshake"     // AUTH TLS, before the handshake, whatever becomes of it
	EventTLSFailed        = "TLSHandshakeFailed"
	EventStalled          = "TimeoutStalled" // a transfer in which nothing moved
	EventCommandRate      = "MaxCommandRate"
	EventDataTheft        = "DataTheft"   // a data connection that did not resume the control session
	EventTLSUnclosed      = "TLSUnclosed" // an upload that ended without close_notify
	EventEmptyPassword    = "EmptyPassword"
)

// Bye says why the session is about to leave. No answer.
type Bye struct {
	Reason string `ipc:"256"`
}

// SessionLane is the channel session -> master, with its answers.
var SessionLane = newDialogue(&Dialogue{
	Name: "master-session", Version: 4, States: []string{"idle", "login", "open"},
	Rows: []Row{
		{Kind: 1, From: Session, In: SessionOpen, Body: Passive{}},
		{Kind: 2, From: Session, In: SessionOpen, Body: Active{}},
		{Kind: 3, From: Master, In: SessionOpen, Body: Listening{}},
		{Kind: 4, From: Session, In: SessionOpen, Body: Connect{}},
		{Kind: 5, From: Session, In: SessionOpen, Body: CloseData{}},
		{Kind: 6, From: Master, In: SessionOpen, Body: Done{}},
		{Kind: 7, From: Session, In: SessionLogin, Body: TakeFiles{}},
		{Kind: 8, From: Master, In: SessionLogin, FDs: 2, MayFD: true, Body: FilesChannel{}},
		{Kind: 9, From: Session, In: SessionLogin | SessionOpen, Body: Report{}},
		{Kind: 10, From: Session, In: SessionLogin | SessionOpen, Body: Bye{}},
		{Kind: 11, From: Session, In: SessionLogin, Body: SelectHost{}},
		{Kind: 12, From: Session, In: SessionLogin, Body: ProxyHeader{}},
		{Kind: 13, From: Master, In: SessionLogin, FDs: 1, MayFD: true, Body: HostSelected{}},
		{Kind: 14, From: Session, In: SessionOpen, Body: BeginTransfer{}},
		{Kind: 15, From: Master, In: SessionOpen, Body: TransferAllowed{}},
		{Kind: 16, From: Session, In: SessionOpen, Body: EndTransfer{}},
		{Kind: 17, From: Session, In: SessionLogin | SessionOpen, Body: Record{}},
	},
})
