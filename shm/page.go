package shm

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// State is what a session says it is doing.
type State uint8

// The states.
const (
	StateUnknown        State = iota // nothing said yet, or nonsense
	StateAuthenticating              // no login yet
	StateIdle                        // waits for a command
	StateCommand
	StateDownloading // RETR: bytes to the client
	StateUploading   // STOR, APPE, STOU
	StateListing     // LIST, NLST, MLSD
	numStates
)

var stateNames = [numStates]string{"unknown", "authenticating", "idle", "command", "downloading", "uploading", "listing"}

// String returns the state's name as ftpdctl shows it.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return stateNames[StateUnknown]
}

// Longest texts of a page, in bytes; what is longer is cut.
const (
	MaxVerb = 16
	MaxArg  = 1024
	MaxDir  = 2048
)

// The page, in words. The first words stand alone; the rest is one
// sequence-locked record.
const (
	pageMagic    = iota // pageHash
	pageActivity        // CLOCK_MONOTONIC, nanoseconds, of the last sign of life
	pageCommands        // commands begun
	pageFiles           // files transferred whole
	pageIn              // bytes from the client over data connections
	pageOut             // bytes to the client
	pageDone            // bytes of the transfer in hand
	pageEnded           // CLOCK_MONOTONIC, nanoseconds, of the end of the last transfer
	pageRecord          // the record, see below

	pageWords     = pageSize / wordSize
	pageAnnounced = pageWords - 1 // number of the listener ahead that the client is told of
)

// The page's record, in words.
const (
	recSeq   = iota
	recState // from the lowest byte: state, length of verb, of argument (2), of directory (2), flags
	recSince // CLOCK_MONOTONIC, nanoseconds, of the last change of state
	recSize  // of the transfer in hand, two's complement; -1: not known
	recVerb
	recArg   = recVerb + MaxVerb/wordSize
	recDir   = recArg + MaxArg/wordSize
	recWords = recDir + MaxDir/wordSize
)

const (
	cutArg = 1 << iota
	cutDir
	overTLS // no cut: the control connection is protected
)

// Page is one page of memory that a session writes and master reads as a
// claim, and nothing in it can harm the reader. The session's methods may be
// called by several goroutines. They cost less than a system call.
type Page struct {
	mem []byte // nil on the heap (tests)
	w   words
	rec record

	mu       sync.Mutex // of the record's writers; the rest is the writer's own copy
	base     time.Time
	baseMono int64
	state    State
	in       bool // data flows from the client
	loggedIn bool
	verb     int
	arg, dir int
	cut      uint64
}

// pageHash tells pages of different layouts apart.
const pageHash = 0x5059_5353_0001_0000 | pageRecord<<8 | recWords&0xff

// NewPage makes a session's page: a memfd that can neither shrink nor grow. The
// caller owns the descriptor (close-on-exec) and hands it to the session; the
// Page is for reading and is master's.
func NewPage() (fd int, p *Page, err error) {
	fd, err = unix.MemfdCreate("sallyport-session", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, nil, fmt.Errorf("session page: %w", err)
	}
	if err = formatPage(fd); err == nil {
		p, err = ReadPage(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, fmt.Errorf("session page: %w", err)
	}
	return fd, p, nil
}

const pageSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

func formatPage(fd int) error {
	if err := retry(func() error { return unix.Fallocate(fd, 0, 0, pageSize) }); err != nil {
		return err
	}
	var head [wordSize]byte
	for i := range head {
		head[i] = byte(uint64(pageHash) >> (8 * i))
	}
	if _, err := unix.Pwrite(fd, head[:], 0); err != nil {
		return err
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, pageSeals)
	return err
}

// ReadPage maps the page of fd for reading, for a master that has kept the
// descriptor over its own re-execution. It refuses a memfd that could shrink
// under it. The descriptor stays the caller's.
func ReadPage(fd int) (*Page, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, err
	}
	if seals&pageSeals != pageSeals {
		return nil, errors.New("not sealed")
	}
	return mapPage(fd, unix.PROT_READ)
}

// OpenPage maps the page of fd for the session, which writes it. The descriptor
// may be closed afterwards.
func OpenPage(fd int) (*Page, error) {
	p, err := mapPage(fd, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, fmt.Errorf("session page: %w", err)
	}
	if p.w[pageMagic].Load() != pageHash {
		p.Close()
		return nil, errors.New("session page: made by another version of master")
	}
	p.start()
	return p, nil
}

func mapPage(fd, prot int) (*Page, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size != pageSize {
		return nil, fmt.Errorf("%d bytes, %d belong there", st.Size, pageSize)
	}
	mem, err := unix.Mmap(fd, 0, pageSize, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	p := pageOn(wordsOf(mem))
	p.mem = mem
	return p, nil
}

func pageOn(w words) *Page {
	return &Page{w: w, rec: record(w[pageRecord : pageRecord+recWords])}
}

// start makes p ready for writing.
func (p *Page) start() {
	p.baseMono = monotonic() // first: p.Now must not run ahead
	p.base = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.set(StateAuthenticating, -1)
	p.rec.end()
}

// monotonic asks for CLOCK_MONOTONIC in nanoseconds, by a system call.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// Now is CLOCK_MONOTONIC, in nanoseconds, without a system call, for the session.
func (p *Page) Now() int64 { return p.baseMono + int64(time.Since(p.base)) }

func (p *Page) begin() {
	now := uint64(p.Now())
	if p.rec.begin() {
		p.verb, p.arg, p.dir, p.cut = 0, 0, 0, 0
	}
	p.w[pageActivity].Store(now)
}

// set stores state and lengths; within begin and end.
func (p *Page) set(s State, size int64) {
	p.state = s
	p.rec[recState].Store(uint64(s) | uint64(p.verb)<<8 | uint64(p.arg)<<16 | uint64(p.dir)<<32 | p.cut<<48)
	p.rec[recSince].Store(p.w[pageActivity].Load())
	p.rec[recSize].Store(uint64(size))
}

// SetCommand says that a command has begun. Secrets do not belong here: the
// argument of PASS and ACCT is dropped.
func (p *Page) SetCommand(verb string, arg []byte) {
	if secret(verb) {
		arg = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.verb = put(words(p.rec[recVerb:recArg]), verb)
	p.arg = put(words(p.rec[recArg:recDir]), arg)
	p.cut &^= cutArg
	if p.arg < len(arg) {
		p.cut |= cutArg
	}
	state := StateCommand
	if !p.loggedIn {
		state = StateAuthenticating
	}
	p.set(state, -1)
	p.rec.end()
	p.w[pageCommands].Add(1)
}

// secret tells whether a command's argument is one.
func secret(verb string) bool {
	if len(verb) != 4 {
		return false
	}
	var b [4]byte
	for i := range b {
		b[i] = verb[i] &^ 0x20
	}
	return string(b[:]) == "PASS" || string(b[:]) == "ACCT"
}

// SetIdle says that the command is answered and the session waits.
func (p *Page) SetIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.verb, p.arg, p.cut = 0, 0, p.cut&^cutArg
	state := StateIdle
	if !p.loggedIn {
		state = StateAuthenticating
	}
	p.set(state, -1)
	p.rec.end()
}

// SetLoggedIn says that a login has succeeded; until then the state is
// StateAuthenticating whatever happens.
func (p *Page) SetLoggedIn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.loggedIn = true
	p.set(StateCommand, -1)
	p.rec.end()
}

// SetDir names the working directory.
func (p *Page) SetDir(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.dir = put(words(p.rec[recDir:recWords]), dir)
	p.cut &^= cutDir
	if p.dir < len(dir) {
		p.cut |= cutDir
	}
	size := int64(p.rec[recSize].Load())
	since := p.rec[recSince].Load()
	p.set(p.state, size)
	p.rec[recSince].Store(since)
	p.rec.end()
}

// SetTransfer says that data begins to flow for the command in hand. Kind is
// StateDownloading, StateUploading or StateListing; size is in bytes, -1 if it
// is not known.
func (p *Page) SetTransfer(kind State, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.in = kind == StateUploading
	p.w[pageDone].Store(0)
	p.set(kind, size)
	p.rec.end()
}

// AddBytes counts bytes of the transfer in hand. It takes no lock and may run
// beside the other methods, except SetTransfer.
func (p *Page) AddBytes(n int64) {
	if n <= 0 {
		return
	}
	p.w[pageDone].Add(uint64(n))
	if p.in {
		p.w[pageIn].Add(uint64(n))
	} else {
		p.w[pageOut].Add(uint64(n))
	}
	p.w[pageActivity].Store(uint64(p.Now()))
}

// Touch says that a long command is still at work. Like AddBytes it takes no
// lock.
func (p *Page) Touch() { p.w[pageActivity].Store(uint64(p.Now())) }

// EndTransfer says that the transfer in hand is over; whole counts its file.
func (p *Page) EndTransfer(whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if whole && p.state != StateListing {
		p.w[pageFiles].Add(1)
	}
	p.begin()
	p.w[pageEnded].Store(p.w[pageActivity].Load())
	p.set(StateCommand, -1)
	p.rec.end()
}

// Announce says that the client is about to be told of the listener number n,
// which was opened before it asked.
func (p *Page) Announce(n uint32) { p.w[pageAnnounced].Store(uint64(n)) }

// Announced is the number of the listener that was last announced; 0: none.
func (p *Page) Announced() uint32 {
	if len(p.w) == 0 || p.w[pageMagic].Load() != pageHash { // master could not read this page
		return 0
	}
	return uint32(p.w[pageAnnounced].Load())
}

// SetTLS says whether the control connection is protected.
func (p *Page) SetTLS(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := p.rec[recSince].Load()
	p.begin()
	p.cut &^= overTLS
	if on {
		p.cut |= overTLS
	}
	p.set(p.state, int64(p.rec[recSize].Load()))
	p.rec[recSince].Store(since)
	p.rec.end()
}

// Close unmaps the page. No other method may be called any more, but Snapshot,
// Activity and Close.
func (p *Page) Close() {
	if p.mem != nil {
		_ = unix.Munmap(p.mem)
	}
	p.mem, p.w, p.rec = nil, nil, nil
}
