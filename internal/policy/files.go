package policy

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
	HiddenStores         HiddenStores
	DeleteAborted        bool // delete_aborted_stores: an upload that was not there before goes when it fails
	FSync                bool
	AllowRootSymlinks    bool
	DigestMax            int64 // bytes; 0: no limit
	Sandbox              string
}

// HiddenStores makes uploads appear under their name only when they are whole.
type HiddenStores struct {
	Engine bool
	Prefix string // ".in."
	Suffix string // "."
	Keep   bool   // an aborted one stays (delete_aborted_stores = false)
}

// SizeFor is a limit of a file's size; the first that fits holds.
type SizeFor struct {
	Max      int64 // bytes; 0: no limit
	Selector Selector
}

// RateFor is a transfer rate; the first that fits and has the command holds.
type RateFor struct {
	PerSecond uint64   // bytes
	Free      uint64   // bytes at the start that are not slowed
	Commands  []string // "RETR" "STOR" "APPE" "STOU"
	Selector  Selector
}

// TimeoutFor is timeout.session; the first that fits holds.
type TimeoutFor struct {
	Seconds  uint32
	Selector Selector
}

// Choice is a path for whom the selector fits.
type Choice struct {
	Path     string // may hold %u and ~
	Selector Selector
}

// CreateHome makes the home directory of a user who has none.
type CreateHome struct {
	Engine   bool
	Mode     uint32 // of the home, 0700
	DirMode  uint32 // of the directories above it, 0711
	Skeleton string // directory that is copied into it; "" for none
}
