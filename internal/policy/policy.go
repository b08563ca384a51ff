// Package policy is the compiled configuration: plain structs, no behaviour
// that needs anything but the structs, and no imports. internal/config compiles
// HCL into it; master holds it whole and hands every other process the view it
// needs and no more: [Session], [Files], [Authd].
//
// Durations are seconds or nanoseconds as the field says; 0 means "off" or "no
// limit" unless said otherwise.
package policy

// Policy is all that master knows. It is built once and then only read.
type Policy struct {
	File   string // where it was read from, for messages
	Global Global

	Listeners []Listener
	Classes   []Class // the first that fits is the session's class
	Hosts     []Host  // Hosts[0] is the default host: the top level of the file
}

// Global is what exists once a daemon.
type Global struct {
	Instance string // names the shared memory objects: sallyport.<instance>.board
	RunDir   string // control socket, pid-independent run-time files
	StateDir string
	User     string // identity of session and hash workers: "sallyport"
	Sandbox  string // "enforce" "log" "off"

	MaxInstances     uint32 // live connections, greeted ones included; 0: no limit
	ConnectionRate   Rate   // accepts a time, token bucket
	Unauthenticated  uint32 // connections not logged in, in all (early random drop from half of it on)
	UnauthPerAddress uint32 // per IPv4 address
	UnauthPerPrefix  uint32 // per IPv6 /64
	PoolMin, PoolMax uint32 // warm sessions
	StopGrace        uint32 // seconds

	Control Control
}

// Rate is count events per time.
type Rate struct {
	Count uint32
	Nanos int64
}

// Control configures the control socket.
type Control struct {
	Engine bool
	Socket string
	Group  string // socket root:Group 0660
	Rules  []ControlRule
}

// ControlRule allows actions to users and groups; the first that names the
// action decides; none: root and members of Control.Group.
type ControlRule struct {
	Actions []string // "all" for every action
	Users   []string
	Groups  []string
}

// Listener is one socket address family of the file.
type Listener struct {
	Label    string // = FileDescriptorName= of the systemd socket it adopts
	Protocol string // "ftp", later "sftp"
	TLS      string // "", "implicit"
	Address  []string
}

// Class is a connection class by client address.
type Class struct {
	Name string
	From Addresses
}

// Addresses is a compiled address selector: it fits if one plain item fits (or
// there is none but negated ones with Match "all") and no negated item does.
type Addresses struct {
	Match string // "any" "all"
	Items []AddressItem
}

// AddressItem is a prefix ("10.0.0.0/8", "2001:db8::1/128") or "all".
type AddressItem struct {
	Not    bool
	Prefix string // canonical; v4-mapped prefixes as IPv4; "all" for every address
}

// Host is a virtual host with its settings for each class.
type Host struct {
	Name    string
	Names   []string // HOST, SNI (later)
	Address []string // local addresses that choose it; empty for the default host
	Base    Settings // for sessions without a class
	ByClass []ClassSettings
}

// ClassSettings is Host.Base with the `when` blocks of one class applied.
type ClassSettings struct {
	Class    string
	Settings Settings
}

// For returns the settings of a session of class (or "" for none).
func (h *Host) For(class string) *Settings {
	for i := range h.ByClass {
		if h.ByClass[i].Class == class {
			return &h.ByClass[i].Settings
		}
	}
	return &h.Base
}

// Settings is what holds for one host and class.
type Settings struct {
	Session Session
	Files   Files
	Auth    AuthHost

	MaxConnectionsPerHost Limit
	TimeoutLogin          uint32 // seconds
	TimeoutIdle           uint32
	TimeoutStalled        uint32
	Passive               Passive
	AllowForeignAddress   bool
	Roots                 []Root
	MinUID                uint32
}

// Limit is a count with the words of its refusal (%m is the count).
type Limit struct {
	Count   uint32
	Message string // empty: the default text
}

// Passive is the range of passive ports and the address 227 shows.
type Passive struct {
	Min, Max uint16 // 0: the kernel's ephemeral range
	Address  string // IP address; "" or "local": the control connection's
}

// Root is one `root` block: the path and who gets it. The first that fits.
type Root struct {
	Path     string // "~", absolute, may hold %u; "none": no login
	Selector Selector
}

// Selector picks sessions (DESIGN §6 rule 3). An empty one fits everybody.
type Selector struct {
	Match string // "any" "all" "regex"
	User  []Item
	Group []Item
	Class []Item
}

// Item is a name in a selector, perhaps negated with "!".
type Item struct {
	Not  bool
	Name string // "*" fits every name
}

// Session is the view of a session worker: constant size, no secret.
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
	CommandBufferSize    uint32 // longest command line in bytes
	MaxPasswordSize      uint32
	Sandbox              string
	AccessGrantMsg       string
	AccessDenyMsg        string
	AllowEmpty           bool // an empty password is worth asking authd; otherwise 501 at once
}

// Files is the view of a files process.
type Files struct {
	Umask, DirUmask      uint32
	AllowOverwrite       bool
	AllowStoreRestart    bool
	AllowRetrieveRestart bool
	StoreUniquePrefix    string
	ShowSymlinks         bool
	TimesGMT             bool
	UseGlobbing          bool
	Sandbox              string
}

// Authd is the view of authd.
type Authd struct {
	Sandbox string
	Hosts   []AuthHost // one a host and class that differ
}

// AuthHost is how one host (and class) authenticates. Name is "host" or
// "host/class" and is what ipc.Attach.Host names.
type AuthHost struct {
	Name              string
	Order             []AuthSource
	Users             string // AuthUserFile, "" for none
	Groups            string // AuthGroupFile
	FileRule          FileRule
	PamService        string
	RequireValidShell bool
	UseFtpUsers       bool
	RootLogin         bool
	AllowEmpty        bool
	MaxPasswordSize   uint32
	LoginAttempts     uint32 // 0: no limit
	MinUID            uint32 // for system accounts
	LegacyHashes      bool   // accept md5-crypt ($1$) in files
	SystemDir         string // where passwd, group, shadow, shells, ftpusers are: "/etc"
}

// FileRule restricts which entries of the users file count.
type FileRule struct {
	MinID, MaxID uint32 // 0, 0: any but 0
	Insecure     bool   // accept a world-readable file
}

// AuthSource is one item of auth.order.
type AuthSource struct {
	Name  string // "file" "unix" "pam"
	Final bool   // "*": where it says no, nobody else is asked
}
