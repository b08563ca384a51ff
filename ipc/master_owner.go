package ipc

// master-owner: owner is a process of one task, root with the capabilities that
// a home directory needs and no other. It opens no file that a client named.

// MakeHome asks for a home directory. The path is the account's, from authd;
// mode, skeleton and the rest are the configuration's.
type MakeHome struct {
	Path     string
	UID, GID uint32
	Mode     uint32 // of the home
	DirMode  uint32 // of the directories above it that are missing; they are root's
	Skeleton string // directory to copy into it; "" for none
}

// HomeMade answers MakeHome; the process then ends.
type HomeMade struct {
	Created bool   // false: it was there
	Error   string `ipc:"256"`
}

// MasterOwner is the channel of one owner process.
var MasterOwner = newDialogue(&Dialogue{
	Name: "master-owner", Version: 1, States: []string{"ask"},
	Rows: []Row{
		{Kind: 1, From: Master, In: 1, Body: MakeHome{}},
		{Kind: 2, From: Owner, In: 1, Body: HomeMade{}},
	},
})
