package ipc

// authd-hash: a hash worker has no key, no file and no client; it computes.

// HashRequest asks whether the secret gives the stored hash. Setting is a full
// crypt(3) string as stored in the account, its cost already bounded by authd.
type HashRequest struct {
	ID      uint32
	Setting string `ipc:"512"`
	Secret  []byte `ipc:"4096"`
	Legacy  bool   // md5-crypt is accepted
}

// HashReply answers HashRequest. Nanos is the worker's own time for it.
type HashReply struct {
	ID    uint32
	Match bool
	Error string `ipc:"128"` // unknown or broken setting; then Match is false
	Nanos uint64
}

// AuthdHash is the channel of one hash worker; authd sends one request at a time.
var AuthdHash = newDialogue(&Dialogue{
	Name: "authd-hash", Version: 1, States: []string{"serving"},
	Rows: []Row{
		{Kind: 1, From: Authd, In: 1, Body: HashRequest{}},
		{Kind: 2, From: Hash, In: 1, Body: HashReply{}},
	},
})

// authd-pam: one PAM handle, one login.

// States of authd-pam.
const (
	PamAsk  State = 1 << iota
	PamOpen       // authenticated; kept until PamClose where the stack has session modules
)

// PamRequest is the first and only attempt of a helper.
type PamRequest struct {
	Service    string `ipc:"64"`
	User       string `ipc:"256"`
	Secret     []byte `ipc:"4096"`
	RHost      string `ipc:"64"`
	TTY        string `ipc:"64"`
	AllowEmpty bool
	Proven     bool // a certificate has said who it is: the stack's auth phase is left out
	// Decoy is the setting of a hash that the helper computes after a refusal, for
	// a name for which no module computes one; "": none.
	Decoy string `ipc:"512"`
}

// PamReply is the stack's answer. On success it carries what NSS knows of the
// user (so that sssd and LDAP users work). Where KeepOpen is false the helper
// has ended itself.
type PamReply struct {
	OK         bool
	Declined   bool   // the stack does not know the user
	Reason     string `ipc:"256"`
	User       string `ipc:"256"` // PAM_USER after the stack
	UID, GID   uint32
	Groups     []uint32 `ipc:"1024"`
	GroupNames []string `ipc:"1024"`
	Home       string
	Shell      string `ipc:"1024"`
	KeepOpen   bool
	Known      bool // NSS knows the user; else UID to Shell are empty and another source must say who he is
	Paid       bool // the decoy was computed
}

// PamClose ends a kept handle: close_session, setcred(DELETE), end.
type PamClose struct{}

// AuthdPam is the channel of one pam helper.
var AuthdPam = newDialogue(&Dialogue{
	Name: "authd-pam", Version: 2, States: []string{"ask", "open"},
	Rows: []Row{
		{Kind: 1, From: Authd, In: PamAsk, Body: PamRequest{}},
		{Kind: 2, From: Pam, In: PamAsk, Body: PamReply{}},
		{Kind: 3, From: Authd, In: PamOpen, Body: PamClose{}},
	},
})

// files-authd: names for ids, and ids for names, as the host's sources have them.

// NamesRequest asks for names. An id without a name comes back as "".
type NamesRequest struct {
	UIDs []uint32 `ipc:"256"`
	GIDs []uint32 `ipc:"256"`
}

// NamesReply answers NamesRequest, in its order.
type NamesReply struct {
	Users  []string `ipc:"256"`
	Groups []string `ipc:"256"`
}

// IDsRequest asks for the gids of group names. A name without one comes back as
// -1.
type IDsRequest struct {
	Groups []string `ipc:"16"`
}

// IDsReply answers IDsRequest, in its order.
type IDsReply struct {
	GIDs []int64 `ipc:"16"`
}

// FilesAuthd is the look-up channel of one files process.
var FilesAuthd = newDialogue(&Dialogue{
	Name: "files-authd", Version: 2, States: []string{"serving"},
	Rows: []Row{
		{Kind: 1, From: Files, In: 1, Body: NamesRequest{}},
		{Kind: 2, From: Authd, In: 1, Body: NamesReply{}},
		{Kind: 3, From: Files, In: 1, Body: IDsRequest{}},
		{Kind: 4, From: Authd, In: 1, Body: IDsReply{}},
	},
})
