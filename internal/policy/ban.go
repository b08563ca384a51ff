package policy

// Ban is the ban system of the daemon: one list, one set of rules.
type Ban struct {
	Engine    bool   // it is on for at least one host or class
	Most      uint32 // live bans
	Observe   bool   // say what would be done, and do nothing
	AnyHost   bool   // rules ban for every host, and count over all of them
	Prefix4   uint8  // how many bits of an IPv4 address a rule bans
	Prefix6   uint8  // of an IPv6 address
	Aggregate []BanAggregate
	Message   string // "" for none; %a %c %u
	Never     []AddressItem
	NeverIn   []string // classes that are never banned
	Log       string   // file, "" for none
	Rules     []BanRule
	Share     []BanShare
}

// BanAggregate makes many banned prefixes one: Count of them within one of Bits.
type BanAggregate struct {
	Bits  uint8 // IPv6
	Count uint32
}

// BanRule bans at the Count-th event within a time.
type BanRule struct {
	Event   string // of ban.Events, or the name of any other event
	Count   uint32
	Window  int64  // nanoseconds
	Ban     int64  // nanoseconds
	Repeat  uint32 // each further ban is as many times longer; 0 or 1: all alike
	Max     int64  // and never longer than this; 0: no bound
	Message string // "": that of Ban
	At      string // file:line, for explanations
}

// BanShare is a store that several daemons share their bans by.
type BanShare struct {
	Driver      string // "redis" "memcache"
	Address     string // host:port
	User        string
	Secret      string // file with the password, "" for none
	Password    string // what that file holds: in netd's view alone, put there by master when it sends it
	Prefix      string // of the keys: "mod_ban."
	MatchServer bool   // only bans of the same address and port count
	Longest     int64  // a ban from there ends after this, nanoseconds
	Counters    bool   // Redis: events are counted there, for all daemons together
}
