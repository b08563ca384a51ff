package ipc

// States of master-files.
const (
	FilesStarting State = 1 << iota
	FilesServing
)

// FilesStart is the first message: whose files, below which root. files
// resolves the root with the user's own rights.
type FilesStart struct {
	Session     uint64
	User        string `ipc:"256"`
	Root        string // absolute, "~" and variables already expanded; "/" is no jail
	Home        string // absolute host path; the start directory if it lies in the root
	Sandbox     string `ipc:"8"` // "enforce" "log" "off"
	Chdir       string // start directory, absolute or relative to Home; "" for none. One that cannot be entered: Home
	MaxStore    int64  // bytes a file may grow to by an upload; 0: no limit
	MaxRetrieve int64  // bytes of a file that may be fetched; 0: no limit
	LinksInRoot bool   // components of the root may be symbolic links
}

// FilesReady answers FilesStart.
type FilesReady struct {
	Home string // start directory as the client sees it
	Note string `ipc:"256"` // for the log: home missing, landlock ABI
}

// FilesRefused answers FilesStart where the user has no place to go.
type FilesRefused struct {
	Reason string `ipc:"256"`
}

// MasterFiles is the channel of one files process.
var MasterFiles = newDialogue(&Dialogue{
	Name: "master-files", Version: 2, States: []string{"starting", "serving"},
	Rows: []Row{
		{Kind: 1, From: Master, In: FilesStarting, Body: FilesStart{}},
		{Kind: 2, From: Files, In: FilesStarting, Body: FilesReady{}},
		{Kind: 3, From: Files, In: FilesStarting, Body: FilesRefused{}},
	},
})
