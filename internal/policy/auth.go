package policy

// Authd is the view of authd.
type Authd struct {
	Sandbox  string
	StateDir string     // the DelayTable's snapshot is not below it unless Delay.Table says so
	Hosts    []AuthHost // one a host and class that differ
	TLS      []TLSHost  // one a host that has TLS
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
	Aliases           []Alias
	AliasOnly         bool     // auth_alias_only: a name that is no alias cannot log in
	Passwords         []string // user_password: "name:hash", instead of the source's
	Anonymous         []AnonymousAuth
	Delay             Delay
	BanEngine         bool   // look names up in the ban table
	BanHost           string // the virtual host's name there
}

// Alias lets a name log in as another account.
type Alias struct {
	Name string // "*" for every name that is no account
	User string
}

// AnonymousAuth is how authd decides about the names of one anonymous block.
type AnonymousAuth struct {
	ID                uint32   // of the policy.Anonymous; LoginReport.Anonymous names it
	User              string   // the account whose identity the login gets
	Group             string   // its primary group instead of the account's; "" for that
	Names             []string // the user's own and the aliases; "*" for every name that is no account
	AliasOnly         bool     // the user's own name is none of them
	RequirePassword   bool     // the account's password must be given: a guest account
	UsingAlias        bool     // and it is the alias's account whose password counts
	Reject            string   // anon_reject_passwords: a regular expression (RE2); "" for none
	RejectNot         bool     // what does not match is rejected
	RequireValidShell bool
}

// Delay is the anti-timing delay of one host and class.
type Delay struct {
	Engine bool
	Policy string // "deadline" "median"
	Table  string // snapshot of the DelayTable; "none" for none; one a daemon
	Cap    int64  // longest wait in nanoseconds
	Events []DelayEvent
}

// DelayEvent is delay.on_event: a wait between Min and Max, in nanoseconds.
type DelayEvent struct {
	Event    string // "USER" "PASS" "FailedLogin" "Connect"
	Min, Max int64
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
