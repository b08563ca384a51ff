package policy

// Clients are the limits of connections and of logged-in clients of one host
// (and class). Count 0: no limit.
type Clients struct {
	ConnectionsPerHost Limit // all connections of one address, at accept
	Clients            Limit
	PerHost            Limit
	PerUser            Limit
	PerClass           Limit
	HostsPerUser       Limit
	TransfersPerHost   []TransferLimit
	TransfersPerUser   []TransferLimit
}

// TransferLimit bounds how many sessions run the same command at a time.
type TransferLimit struct {
	Commands []string // "RETR" "STOR" "APPE" "STOU"
	Count    uint32
	Message  string
}

// Anonymous is an anonymous block: logins that end up as one account in one
// directory.
type Anonymous struct {
	ID       uint32   // unique in the policy; of what the block says, not of its place; the same in all classes of a host
	Path     string   // the directory, absolute; "~" below is the account's home
	User     string   // the account
	UserDir  bool     // user_dir_root: the sanitised typed name is a directory below Path
	Settings Settings // what holds for these sessions; its Auth and Anonymous are not used
}

// Log is the log files of one host (and class).
type Log struct {
	Transfer string // xferlog; "" for none
	Extended []ExtendedLog
}

// ExtendedLog is a log of commands.
type ExtendedLog struct {
	Path       string   // or "syslog:LEVEL"
	Classes    uint32   // LogAuth and its kin
	NotClasses uint32   // "!CLASS": without the commands of these
	Verbs      []string // besides the classes
	Not        []string // and without these
	Format     string   // as it is to be used, not its name; "" for the default one
}

// Netd is the view of netd: what it looks up and whom it may call.
type Netd struct {
	Sandbox string
	Names   []string // host names to resolve again every five minutes
	Share   []BanShare
}
