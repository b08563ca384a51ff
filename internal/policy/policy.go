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
	Ban       Ban
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
	Label    string   // = FileDescriptorName= of the systemd socket it adopts
	Protocol string   // "ftp", later "sftp"
	TLS      string   // "", "implicit"
	Proxy    []string // prefixes whose PROXY header is believed, and demanded; empty: none is read
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
	Names   []string // HOST and SNI: names, or "*.example.org" for one label more
	Address []string // local addresses that choose it; empty for the default host
	Base    Settings // for sessions without a class
	ByClass []ClassSettings

	// Certificates and client verification: one TLS identity a host, whatever the class.
	TLS TLSHost
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

	Max                 Clients
	TimeoutLogin        uint32 // seconds
	TimeoutIdle         uint32
	TimeoutStalled      uint32
	TimeoutNoTransfer   uint32
	TimeoutSession      []TimeoutFor // the first that fits
	Passive             Passive
	AllowForeignAddress bool
	Roots               []Root
	AllowRootSymlinks   bool     // a component of the root may be a symbolic link
	Chdir               []Choice // default_chdir: start directory below the home, the first that fits
	CreateHome          CreateHome
	StoreSizes          []SizeFor   // max.store_file_size
	RetrieveSizes       []SizeFor   // max.retrieve_file_size
	Rates               []RateFor   // transfer_rate
	Anonymous           []Anonymous // logins without a password, and guest accounts
	Log                 Log
	BanEngine           bool   // bans hold for these sessions, and their events count
	BanMessage          string // "": Policy.Ban.Message
	MinUID              uint32
	Display             DisplayFiles // where Session.Display comes from; nobody reads these again
	DigestDefault       string       // where Session.Digest.Default comes from
}

// Limit is a count with the words of its refusal (%m is the count).
type Limit struct {
	Count   uint32
	Message string // empty: the default text
}

// Passive is the range of passive ports and the address 227 shows.
type Passive struct {
	Min, Max uint16        // 0: the kernel's ephemeral range
	Address  string        // IP address or a name that netd looks up; "" or "local": the control connection's
	Local    []AddressItem // clients that are shown the control connection's address all the same
	Extended bool          // EPSV and EPRT only
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
