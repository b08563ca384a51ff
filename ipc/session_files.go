package ipc

// session-files: session asks, files decides and passes open descriptors. One
// call at a time. Paths are absolute paths as the client sees them, bytes as
// they are, at most 4096; files cleans them again. Errno is 0 or a Linux errno;
// Denied is 0 or a rule's refusal.

// Refusals of the rules, beyond what the kernel says.
const (
	DeniedNo         uint8 = iota
	DeniedOverwrite        // allow_overwrite is off and the file exists
	DeniedAppend           // allow_store_restart is off
	DeniedRestart          // allow_retrieve_restart is off
	DeniedNotRegular       // no regular file
	DeniedOffset           // REST beyond the end of the file
	DeniedUnique           // STOU found no free name
	DeniedRule             // an access rule (later)
	DeniedHidden           // hidden_stores: the temporary file exists already
	DeniedHiddenRest       // hidden_stores and REST
	DeniedSize             // max.retrieve_file_size or max.store_file_size
	DeniedDigest           // a digest of more than digest.max_size, or of a special file
	DeniedMember           // SITE CHGRP: the user is no member of the group
)

// FileInfo is what a client may know of a file.
type FileInfo struct {
	Path   string
	Mode   uint32 // st_mode
	Size   int64
	Mtime  int64 // seconds, UTC
	UID    uint32
	GID    uint32
	Device uint64
	Inode  uint64
	Links  uint32
}

// Stat asks about one path; the answer is StatReply.
type Stat struct {
	Path   string
	Follow bool // follow a final symlink
}

// StatReply answers Stat.
type StatReply struct {
	Errno  uint32
	Denied uint8
	Info   FileInfo
}

// ChangeDir checks that a directory may be entered; the answer is PathReply
// with the path to show.
type ChangeDir struct {
	Path string
}

// PathReply answers whatever yields a path or nothing.
type PathReply struct {
	Errno  uint32
	Denied uint8
	Path   string
}

// OpenRead opens a regular file for RETR; the answer is OpenReply.
type OpenRead struct {
	Path   string
	Offset int64 // REST; files checks it against the size, session seeks
	Digest bool  // to be digested, not sent
}

// How OpenWrite opens.
const (
	WriteStore  uint8 = iota // STOR: create or replace; session truncates once data flows
	WriteResume              // REST n, STOR: keep what lies before Offset
	WriteAppend              // APPE: O_APPEND
	WriteUnique              // STOU: a new name in the directory Path
)

// OpenWrite opens a regular file for an upload; the answer is OpenReply.
type OpenWrite struct {
	Path   string
	How    uint8
	Offset int64
}

// OpenReply answers OpenRead and OpenWrite. Descriptor: exactly O_RDONLY or
// O_WRONLY (O_APPEND for WriteAppend), unless refused.
type OpenReply struct {
	Errno   uint32
	Denied  uint8
	Path    string // the name chosen, for WriteUnique; the temporary one, where Hidden, DeniedHidden, or it alone is too long
	Size    int64
	Created bool  // it did not exist before
	Hidden  bool  // the descriptor is of a new temporary file that Finish renames
	Most    int64 // size the file may grow to, what is there already included; 0: no limit
	// Upload is the number for Finish. It is 0 for a read, and for an upload that
	// needs no settling (no hidden_stores, delete_aborted_stores, fsync or size
	// limit): session then sends no Finish, which saves a round trip a file.
	Upload uint32
}

// Finish settles an upload, after the session has closed its descriptor or
// given up: files looks at its own duplicate and believes its own fstat. The
// answer is FinishReply. An upload that is never finished (the session died) is
// settled as a failed one.
type Finish struct {
	Upload uint32
	Whole  bool // all of it came
}

// FinishReply answers Finish.
type FinishReply struct {
	Errno   uint32 // of the rename of a hidden upload, or of fsync
	Denied  uint8  // DeniedSize: it had grown beyond Most and was removed or truncated
	Size    int64
	Removed bool // a failed upload that delete_aborted_stores took away
}

// SetMode changes the permissions of a file or directory (SITE CHMOD, MFF); the
// answer is PathReply.
type SetMode struct {
	Path     string
	Mode     uint32 // permission bits, where Symbolic is empty
	Symbolic string `ipc:"64"` // "u+rw,g-x"
}

// SetGroup gives a file or directory to a group (SITE CHGRP, MFF): a name, or a
// number; the answer is PathReply.
type SetGroup struct {
	Path  string
	Group string `ipc:"256"`
}

// SetTimes changes times (MFMT, MFF, SITE UTIME), seconds of UTC; the answer is
// PathReply.
type SetTimes struct {
	Path      string
	Mtime     int64
	Atime     int64
	KeepAtime bool
}

// Symlink makes a symbolic link at Path (SITE SYMLINK). Target is kept as it
// is: it resolves within the root whenever it is followed. The answer is
// PathReply.
type Symlink struct {
	Target string
	Path   string
}

// MakeTree makes a directory and those above it that are missing (SITE MKDIR);
// the answer is PathReply.
type MakeTree struct{ Path string }

// RemoveTree removes a directory with all that is in it (SITE RMDIR), in
// bounded time: EAGAIN asks to call again. The answer is PathReply.
type RemoveTree struct{ Path string }

// Copy copies a regular file (SITE COPY, CPTO), in pieces of bounded time:
// EAGAIN asks to call again with the same paths, any other call gives it up. The
// answer is PathReply.
type Copy struct{ From, To string }

// Space asks how much room there is below Path (AVBL); the answer is SpaceReply.
type Space struct{ Path string }

// SpaceReply answers Space.
type SpaceReply struct {
	Errno  uint32
	Denied uint8
	Free   uint64 // bytes that the user may still write
	Total  uint64
}

// Mkdir makes a directory; the answer is PathReply.
type Mkdir struct{ Path string }

// Rmdir removes an empty directory; the answer is PathReply.
type Rmdir struct{ Path string }

// Remove removes what is no directory; the answer is PathReply.
type Remove struct{ Path string }

// Rename moves a file or directory; the answer is PathReply.
type Rename struct{ From, To string }

// Forms of a listing.
const (
	FormList  uint8 = iota // ls -l lines
	FormNames              // NLST
	FormMLSD               // RFC 3659 facts
	FormMLST               // one object, named as asked
)

// List starts a listing. Options are the letters of LIST's "-" words, for
// FormList and FormNames; Path may hold a glob there. Facts is a mask of the
// Fact constants. The answer is ListBatch; ListNext fetches the following ones.
type List struct {
	Path    string
	Shown   string // how the client named it, for MLST and NLST
	Form    uint8
	Options string `ipc:"64"`
	Facts   uint32
}

// Facts of MLST and MLSD.
const (
	FactModify uint32 = 1 << iota
	FactPerm
	FactSize
	FactType
	FactUnique
	FactUnixGroup
	FactUnixGroupName
	FactUnixMode
	FactUnixOwner
	FactUnixOwnerName
	AllFacts = 1<<iota - 1
)

// ListNext asks for the next batch of the listing in hand; the answer is
// ListBatch. A new List or ListClose ends it.
type ListNext struct{}

// ListClose ends the listing in hand; the answer is an empty ListBatch.
type ListClose struct{}

// ListBatch is a part of a listing: whole lines, ready for the wire, CRLF.
type ListBatch struct {
	Errno  uint32
	Denied uint8
	Lines  []byte `ipc:"61440"`
	Count  uint32 // lines
	More   bool
}

// SessionFiles is the file channel of one session.
var SessionFiles = newDialogue(&Dialogue{
	Name: "session-files", Version: 2, States: []string{"serving"},
	Rows: []Row{
		{Kind: 1, From: Session, In: 1, Body: Stat{}},
		{Kind: 2, From: Files, In: 1, Body: StatReply{}},
		{Kind: 3, From: Session, In: 1, Body: ChangeDir{}},
		{Kind: 4, From: Files, In: 1, Body: PathReply{}},
		{Kind: 5, From: Session, In: 1, Body: OpenRead{}},
		{Kind: 6, From: Session, In: 1, Body: OpenWrite{}},
		{Kind: 7, From: Files, In: 1, FDs: 1, MayFD: true, Body: OpenReply{}},
		{Kind: 8, From: Session, In: 1, Body: Mkdir{}},
		{Kind: 9, From: Session, In: 1, Body: Rmdir{}},
		{Kind: 10, From: Session, In: 1, Body: Remove{}},
		{Kind: 11, From: Session, In: 1, Body: Rename{}},
		{Kind: 12, From: Session, In: 1, Body: List{}},
		{Kind: 13, From: Session, In: 1, Body: ListNext{}},
		{Kind: 14, From: Session, In: 1, Body: ListClose{}},
		{Kind: 15, From: Files, In: 1, Body: ListBatch{}},
		{Kind: 16, From: Session, In: 1, Body: Finish{}},
		{Kind: 17, From: Files, In: 1, Body: FinishReply{}},
		{Kind: 18, From: Session, In: 1, Body: SetMode{}},
		{Kind: 19, From: Session, In: 1, Body: SetGroup{}},
		{Kind: 20, From: Session, In: 1, Body: SetTimes{}},
		{Kind: 21, From: Session, In: 1, Body: Symlink{}},
		{Kind: 22, From: Session, In: 1, Body: MakeTree{}},
		{Kind: 23, From: Session, In: 1, Body: RemoveTree{}},
		{Kind: 24, From: Session, In: 1, Body: Copy{}},
		{Kind: 25, From: Session, In: 1, Body: Space{}},
		{Kind: 26, From: Files, In: 1, Body: SpaceReply{}},
	},
})
