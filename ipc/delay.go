package ipc

// The DelayTable's part of master-authd. authd writes the table; master made it,
// keeps it over restarts and shows it to administrators.

// DelayShare gives authd the DelayTable, to write. Descriptor: the object, open
// for reading and writing. It comes before the first AuthdConfig.
type DelayShare struct {
	Key []byte `ipc:"32"` // picks the decoys of unknown names; the same over restarts
}

// DelayReset asks authd to clear rows; the answer is DelayCleared.
type DelayReset struct {
	ID   uint32
	Host string `ipc:"256"` // a virtual host, with the rows of its classes; "" for all
}

// DelayCleared answers DelayReset.
type DelayCleared struct {
	ID   uint32
	Rows uint32 // how many
}

// DelayExplain asks what a login would be waited for; the answer is
// DelayExplained. It is an administrator's question: the answer tells whether
// the name exists.
type DelayExplain struct {
	ID       uint32
	Host     string `ipc:"256"` // of a policy.AuthHost
	Protocol string `ipc:"8"`
	User     string `ipc:"256"`
}

// DelayExplained answers DelayExplain.
type DelayExplained struct {
	ID    uint32
	Known bool     // the host is served
	Lines []string `ipc:"64"` // sentences
}

// DelayTrace says how much master's trace channel "delay" wants to hear.
type DelayTrace struct {
	Level uint8 // 0: nothing
}

// DelayNote tells of one answer, while the trace channel is on. Times are
// nanoseconds.
type DelayNote struct {
	Session  uint64
	Step     string `ipc:"16"`
	Work     int64  // authd's own
	Queued   int64  // waited for its turn
	Deadline int64
	At       int64 // when the answer leaves, from the request
	Event    int64 // of that, by on_event rules
	Sampled  bool
}
