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

// MasterNetd is asynchronous in both directions.
var MasterNetd = newDialogue(&Dialogue{
	Name: "master-netd", Version: 1, States: []string{"serving"},
	Rows: []Row{
		{Kind: 1, From: Master, In: 1, FDs: 1, Body: NetdConfig{}},
		{Kind: 2, From: Netd, In: 1, Body: NetdReady{}},
		{Kind: 3, From: Netd, In: 1, Body: Resolved{}},
		{Kind: 4, From: Master, In: 1, Body: NetdPing{}},
		{Kind: 5, From: Netd, In: 1, Body: NetdPong{}},
	},
})
