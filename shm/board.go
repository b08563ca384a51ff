package shm

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// DefaultSlots is the size of a board where MaxInstances sets none.
const DefaultSlots = 4096

// Stage is how far master has come with a session.
type Stage uint8

// The stages.
const (
	StageUnknown Stage = iota
	StageLogin         // has a client, not logged in
	StageOpen          // logged in
	StageEnding        // told to leave, or killed
	numStages
)

var stageNames = [numStages]string{"unknown", "login", "open", "ending"}

// String returns the stage's name as ftpdctl shows it.
func (s Stage) String() string {
	if s < numStages {
		return stageNames[s]
	}
	return stageNames[StageUnknown]
}

// Record is master's knowledge of one session. Texts longer than their place
// (User and Host 128 bytes, Peer, Local and Class 64, Protocol 8) are cut.
type Record struct {
	ID       uint64 // session id, not 0
	PID      uint32
	FilesPID uint32 // 0 before login
	User     string // "" before login
	Peer     string // address:port
	Local    string
	Host     string
	Class    string
	Protocol string
	Stage    Stage
	Since    int64 // Unix nanoseconds of the accept
	Login    int64 // Unix nanoseconds of the login, 0 before
}

// Slot is a session's place on the board.
type Slot int

// NoSlot is the slot of a session for which there was no room. All methods
// accept it and do nothing.
const NoSlot Slot = -1

// Board is master's scoreboard: counters, and a slot for each session. It is
// for looking at; no decision is taken by it, so that a full board refuses
// nobody. Its methods may be called by several goroutines.
type Board struct {
	*Object
	mu   sync.Mutex
	used []bool
	hint int // where the search for a free slot goes on
}

// CreateBoard makes a fresh board of n slots (0: DefaultSlots). Errors as
// CreateObject.
func CreateBoard(dir, instance string, n int) (*Board, error) {
	return newBoard(CreateObject(dir, instance, &BoardLayout, slotsOr(n)))
}

// OpenBoard goes on with the board that is there, for a master that has
// re-executed itself; see OpenObject. Slots that a killed writer has left
// half-written are healed, which frees them.
func OpenBoard(dir, instance string, n int) (*Board, error) {
	return newBoard(OpenObject(dir, instance, &BoardLayout, slotsOr(n)))
}

func slotsOr(n int) int {
	if n <= 0 {
		return DefaultSlots
	}
	return n
}

func newBoard(o *Object, err error) (*Board, error) {
	if err != nil {
		return nil, err
	}
	b := &Board{Object: o, used: make([]bool, o.entries)}
	for i := range b.used {
		r := o.entry(i)
		if r.torn() {
			r.begin()
			r.end()
		}
		b.used[i] = r[slotID].Load() != 0
	}
	return b, nil
}

// Add adds to a counter; n may be negative for a gauge.
func (b *Board) Add(c Counter, n int64) {
	if c < NumCounters {
		b.w[headCounters+int(c)].Add(uint64(n))
	}
}

// Set sets a counter.
func (b *Board) Set(c Counter, n int64) {
	if c < NumCounters {
		b.w[headCounters+int(c)].Store(uint64(n))
	}
}

// Get returns a counter.
func (b *Board) Get(c Counter) int64 {
	if c >= NumCounters {
		return 0
	}
	return int64(b.w[headCounters+int(c)].Load())
}

// Claim puts a session on the board. Without room it returns NoSlot and counts
// BoardFull.
func (b *Board) Claim(r Record) Slot {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.used {
		i := b.hint
		if b.hint++; b.hint == len(b.used) {
			b.hint = 0
		}
		if !b.used[i] {
			b.used[i] = true
			writeSlot(b.entry(i), &r)
			return Slot(i)
		}
	}
	b.Add(BoardFull, 1)
	return NoSlot
}

// Update replaces a session's record.
func (b *Board) Update(s Slot, r Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.valid(s) {
		writeSlot(b.entry(int(s)), &r)
	}
}

// Release frees a slot.
func (b *Board) Release(s Slot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.valid(s) {
		return
	}
	r := b.entry(int(s))
	r.begin()
	for i := 1; i < len(r); i++ {
		r[i].Store(0)
	}
	r.end()
	b.used[s] = false
}

// Find returns the slot of a session that an earlier master has put there.
func (b *Board) Find(id uint64) Slot {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, used := range b.used {
		if used && b.entry(i)[slotID].Load() == id {
			return Slot(i)
		}
	}
	return NoSlot
}

func (b *Board) valid(s Slot) bool { return s >= 0 && int(s) < len(b.used) && b.used[s] }

// Snapshot reads the board.
func (b *Board) Snapshot() BoardView { return viewBoard(b.w, b.entries) }

// writeSlot writes a whole record, which also heals a torn one.
func writeSlot(s record, r *Record) {
	s.begin()
	s[slotID].Store(r.ID)
	s[slotPIDs].Store(uint64(r.PID) | uint64(r.FilesPID)<<32)
	s[slotSince].Store(uint64(r.Since))
	s[slotLogin].Store(uint64(r.Login))
	lengths := uint64(r.Stage) << 48
	for i, f := range slotTexts {
		n := put(words(s[f.at:f.at+f.words]), *f.field(r))
		lengths |= uint64(n) << (8 * i)
	}
	s[slotLengths].Store(lengths)
	s.end()
}

// slotTexts are the texts of a slot in the order of their lengths.
var slotTexts = [...]struct {
	at, words int
	field     func(*Record) *string
}{
	{slotUser, slotPeer - slotUser, func(r *Record) *string { return &r.User }},
	{slotPeer, slotLocal - slotPeer, func(r *Record) *string { return &r.Peer }},
	{slotLocal, slotHost - slotLocal, func(r *Record) *string { return &r.Local }},
	{slotHost, slotClass - slotHost, func(r *Record) *string { return &r.Host }},
	{slotClass, slotWords - slotClass, func(r *Record) *string { return &r.Class }},
	{slotProtocol, 1, func(r *Record) *string { return &r.Protocol }},
}

// BoardView is a copy of the board.
type BoardView struct {
	Counters [NumCounters]int64
	Sessions []Record // in the order of their ids
	Unknown  int      // slots that could not be read: their writer was killed in them
}

func viewBoard(w words, entries int) BoardView {
	var v BoardView
	for i := range v.Counters {
		v.Counters[i] = int64(w[headCounters+i].Load())
	}
	var buf [slotWords]uint64
	for i := range entries {
		s := entryOf(w, &BoardLayout, i)
		switch {
		case s[slotSeq].Load() == 0: // never used
		case !s.read(buf[:]):
			v.Unknown++
		case buf[slotID] != 0:
			v.Sessions = append(v.Sessions, readSlot(&buf))
		}
	}
	slices.SortFunc(v.Sessions, func(a, b Record) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return v
}

func readSlot(buf *[slotWords]uint64) Record {
	r := Record{
		ID: buf[slotID], PID: uint32(buf[slotPIDs]), FilesPID: uint32(buf[slotPIDs] >> 32),
		Since: int64(buf[slotSince]), Login: int64(buf[slotLogin]),
	}
	if s := Stage(buf[slotLengths] >> 48); s < numStages {
		r.Stage = s
	}
	for i, f := range slotTexts {
		*f.field(&r) = text(buf[f.at:f.at+f.words], int(buf[slotLengths]>>(8*i)&0xff))
	}
	return r
}

// BoardReader is a board mapped for reading only.
type BoardReader struct {
	mem     []byte
	w       words
	entries int
}

// OpenBoardReader maps the board of a running instance for reading, without its
// lock. It refuses an object that is not the caller's own.
func OpenBoardReader(dir, instance string) (*BoardReader, error) {
	name, err := BoardLayout.ObjectName(instance)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	fd, err := openReadOnly(path)
	if err != nil {
		return nil, fmt.Errorf("shared memory %q: %w", path, err)
	}
	defer unix.Close(fd)
	o := Object{layout: &BoardLayout, path: path, fd: -1}
	if err := o.mapReadOnly(fd); err != nil {
		return nil, err
	}
	return &BoardReader{o.mem, o.w, o.entries}, nil
}

// Snapshot reads the board.
func (b *BoardReader) Snapshot() BoardView {
	if b.w == nil {
		return BoardView{}
	}
	return viewBoard(b.w, b.entries)
}

// Close unmaps the board.
func (b *BoardReader) Close() {
	if b.mem != nil {
		_ = unix.Munmap(b.mem)
	}
	b.mem, b.w = nil, nil
}
