package ipc

// master-netd: netd is the only process that calls others. It returns records,
// never a verdict on anyone's identity.

// NetdConfig hands netd its view (policy.Netd); again after every reload.
// Descriptor: the blob. The answer is NetdReady.
type NetdConfig struct {
	Generation uint32
}

// NetdReady answers NetdConfig.
type NetdReady struct {
	Generation uint32
	Errors     []string `ipc:"64"`
}

// Resolved is what a name of the view resolves to, whenever that changes.
type Resolved struct {
	Name      string   `ipc:"256"`
	Addresses []string `ipc:"64"` // IPv4 and IPv6; none: the name does not resolve now
	Error     string   `ipc:"256"`
}

// NetdPing asks whether netd lives.
type NetdPing struct{}

// NetdPong answers NetdPing.
type NetdPong struct{}

// BanStored puts a ban into the shared stores. Key and Value are made by master
// (ban.ShareKey, ban.ShareValue).
type BanStored struct {
	Key     string `ipc:"512"`
	Value   []byte
	Seconds uint32 // until it ends; 0: it does not
}

// BanRemoved takes a ban out of the shared stores.
type BanRemoved struct {
	Key string `ipc:"512"`
}

// BanAsk asks the stores that tell nobody of changes (memcached) for a key; the
// answer, if there is one, is BanFound.
type BanAsk struct {
	Key string `ipc:"512"`
}

// BanFound brings a value of a store: a ban that another daemon has made. Master
// judges it (ban.FromShare).
type BanFound struct {
	Key   string `ipc:"512"`
	Value []byte
}

// BanGone says that another daemon has lifted a ban.
type BanGone struct {
	Key string `ipc:"512"`
}

// StoreState tells that a store can be reached, or no longer. When it can again
// master sends its own bans anew; netd has then told of those that are there.
type StoreState struct {
	Driver  string `ipc:"16"`
	Address string `ipc:"256"`
	Up      bool
	Error   string `ipc:"256"`
}

// EventCount counts an event in the store, for all daemons together.
type EventCount struct {
	Rule    string `ipc:"128"`
	Source  string `ipc:"512"`
	Seconds uint32 // of the rule's window
}

// EventCounted answers EventCount: how many there are within the window.
type EventCounted struct {
	Rule   string `ipc:"128"`
	Source string `ipc:"512"`
	Count  uint32
}

// MasterNetd is asynchronous in both directions.
var MasterNetd = newDialogue(&Dialogue{
	Name: "master-netd", Version: 1, States: []string{"serving"},
	Rows: []Row{
		{Kind: 1, From: Master, In: 1, FDs: 1, Body: NetdConfig{}},
		{Kind: 2, From: Netd, In: 1, Body: NetdReady{}},
		{Kind: 3, From: Netd, In: 1, Body: Resolved{}},
		{Kind: 4, From: Master, In: 1, Body: NetdPing{}},
		{Kind: 5, From: Netd, In: 1, Body: NetdPong{}},
		{Kind: 10, From: Master, In: 1, Body: BanStored{}},
		{Kind: 11, From: Master, In: 1, Body: BanRemoved{}},
		{Kind: 12, From: Master, In: 1, Body: BanAsk{}},
		{Kind: 13, From: Netd, In: 1, Body: BanFound{}},
		{Kind: 14, From: Netd, In: 1, Body: BanGone{}},
		{Kind: 15, From: Netd, In: 1, Body: StoreState{}},
		{Kind: 16, From: Master, In: 1, Body: EventCount{}},
		{Kind: 17, From: Netd, In: 1, Body: EventCounted{}},
	},
})
