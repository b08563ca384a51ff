package policy

// Session is the view of a session worker: small, no secret. After a login the
// session gets another one, where the account has settings of its own
// (anonymous, guests).
type Session struct {
	Ident                string // text of the 220 greeting
	ServerName           string // in STAT
	Admin                string // in HELP
	TransferMode         string // "ascii" "binary": the TYPE a session starts with
	AllowStoreRestart    bool   // for OPTS REST and FEAT; files enforces it
	AllowRetrieveRestart bool
	TimeoutLogin         uint32 // seconds, for texts; master enforces them
	TimeoutIdle          uint32
	TimeoutStalled       uint32 // how long a data connection may take to come up or to move a byte
	TimeoutLinger        uint32 // how long the close of a data connection may wait for the client's
	CommandBufferSize    uint32 // longest command line in bytes
	CommandRate          Rate   // max.command_rate: commands beyond it are delayed; Count 0: none
	MaxPasswordSize      uint32
	Sandbox              string
	AccessGrantMsg       string
	AccessDenyMsg        string
	AllowEmpty           bool // an empty password is worth asking authd; otherwise 501 at once
	Names                bool // the listener has hosts by name: HOST is in FEAT
	ExtendedOnly         bool // passive { extended_only }: PASV and PORT are refused
	CountTransfers       bool // max.transfers_per_host or _user is set: ask master before a transfer
	ModeZ                bool
	FSync                bool // an upload is on the disk before 226
	Anonymous            []AnonymousName
	TLS                  TLSSession
	Digest               Digest
	Display              Display
	Log                  LogMask
	Hold                 DelayEvent // delay.on_event USER: the reply to every USER waits; Max 0: not
}

// AnonymousName is what USER must know to choose its reply.
type AnonymousName struct {
	Name  string // a name or alias; "*" for every other name
	Guest bool   // the account's password is asked for
}

// Digest is HASH, XCRC, XMD5 and their kin.
type Digest struct {
	Engine     bool
	Max        int64    // bytes of one request; 0: no limit
	Default    string   // "SHA-1": what HASH computes before OPTS HASH
	Algorithms []string // "CRC32" "MD5" "SHA-1" "SHA-256" "SHA-512"
}

// Display is the texts of display files. Text is the content of a file of the
// host, read by master when it read the configuration (at most 4 KiB each);
// Path is a name relative to the working directory, read as the user.
type Display struct {
	Connect   string // text, before 220
	Login     DisplayFile
	Chdir     DisplayFile
	ChdirOnce bool
	Quit      DisplayFile
	Transfer  DisplayFile
}

// DisplayFile is one display file: one of the two.
type DisplayFile struct {
	Text string
	Path string
}

// DisplayFiles are the display files as the configuration names them: absolute
// paths, whose text master has put into the view of the session, or names
// relative to the working directory; "" for none.
type DisplayFiles struct {
	Connect  string
	Login    string
	Chdir    string
	Quit     string
	Transfer string
}

// Classes of commands for extended logs (docs/LOGGING.md).
const (
	LogAuth uint32 = 1 << iota
	LogInfo
	LogDirs
	LogRead
	LogWrite
	LogMisc
	LogSec
	LogConnect
	LogExit
	LogOther // verbs nobody knows
	LogAll   = LogAuth | LogInfo | LogDirs | LogRead | LogWrite | LogMisc | LogSec | LogOther
)

// LogMask says of which commands the session sends a record to master, which
// then decides which log each belongs to.
type LogMask struct {
	Transfer bool // transfers and deletions, for the transfer log
	Classes  uint32
	Verbs    []string // besides the classes
}
