package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/internal/logging"
)

// banStore is the ban list on disk: a snapshot and, behind it, a journal of what
// has changed since. Changes gather in lines and are written by one call before
// anybody hears of them; both files replayed in turn are the list, whatever
// moment the daemon was killed at.
type banStore struct {
	dir     string
	journal *os.File // nil: it cannot be written; the snapshot may yet
	size    int64    // of the journal
	count   int      // its lines
	lines   []byte
	dirty   bool // written and not synced
	syncing bool
	saving  bool
	flight  chan struct{} // closed when the snapshot that is being written is
	wanted  bool          // a snapshot, since the journal is not to be relied on
	notes   []string
}

// maxBanFile bounds a file in bytes: a million bans and their journal.
const maxBanFile = 2 << 30

// banJournalLeast is how many lines the journal may have however short the list
// is.
const banJournalLeast = 1024

// openBanStore reads what is on disk and opens the journal. Files that cannot be
// used, wholly or in part, are kept aside as *.bad.
func openBanStore(dir string) (*banStore, []*ban.Ban) {
	s := &banStore{dir: dir}
	left, _ := filepath.Glob(filepath.Join(dir, ".bans.*")) // of a daemon that was killed while it wrote
	for _, p := range left {
		_ = os.Remove(p)
	}
	bans := s.read("snapshot", nil)
	bans = s.read("journal", bans)
	s.open()
	list := make([]*ban.Ban, 0, len(bans))
	for _, b := range bans {
		list = append(list, b)
	}
	return s, list
}

// read reads one of the files over what is in bans.
func (s *banStore) read(name string, bans map[ban.Key]*ban.Ban) map[ban.Key]*ban.Ban {
	path := banPath(s.dir, name)
	f, err := openOwn(path, maxBanFile)
	if os.IsNotExist(err) {
		return bans
	}
	if err != nil {
		s.wanted = true
		s.notes = append(s.notes, fmt.Sprintf("ban list %q: %v; it is not read", path, err))
		s.aside(path, os.Rename)
		return bans
	}
	defer f.Close()
	r, err := ban.Replay(f, bans)
	switch {
	case err != nil:
		s.notes = append(s.notes, fmt.Sprintf("ban list %q: %v; %d bans of it are kept", path, err, len(r.Bans)))
	case r.Damaged > 0:
		s.notes = append(s.notes, fmt.Sprintf("ban list %q: line %d: %s; what can be read of it is kept: %d bans", path, r.Damaged, r.Why, len(r.Bans)))
	case name == "snapshot" && !r.Whole:
		s.notes = append(s.notes, fmt.Sprintf("ban list %q: line %d: it ends before its end; what can be read of it is kept: %d bans", path, r.Lines+1, len(r.Bans)))
	default:
		if name == "journal" {
			s.count = r.Lines
		}
		return r.Bans
	}
	s.wanted = true
	s.aside(path, copyFile)
	return r.Bans
}

// aside keeps a file as *.bad.
func (s *banStore) aside(path string, keep func(from, to string) error) {
	if err := keep(path, path+".bad"); err != nil {
		s.notes = append(s.notes, fmt.Sprintf("ban list %q cannot be kept aside: %v", path, err))
		return
	}
	s.notes = append(s.notes, fmt.Sprintf("ban list %q is kept as %q", path, path+".bad"))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return replaceBy(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// open opens the journal. One that does not end in a whole line gets an end, so
// that what follows can be read.
func (s *banStore) open() {
	f, err := os.OpenFile(banPath(s.dir, "journal"), os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		s.notes = append(s.notes, fmt.Sprintf("ban list: %v", err))
		return
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		s.notes = append(s.notes, fmt.Sprintf("ban list %q: %v", f.Name(), err))
		f.Close()
		return
	}
	s.journal, s.size = f, st.Size()
	var last [1]byte
	if n, _ := f.ReadAt(last[:], max(s.size-1, 0)); n == 1 && last[0] != '\n' {
		n, _ := f.WriteString("\n")
		s.size += int64(n)
	}
}

// Banned implements ban.Journal.
func (s *banStore) Banned(b *ban.Ban) { s.lines = append(s.lines, ban.AddLine(b)...); s.count++ }

// Lifted implements ban.Journal.
func (s *banStore) Lifted(k ban.Key) { s.lines = append(s.lines, ban.LiftLine(k)...); s.count++ }

// flush writes the lines that wait, by one call. What cannot be written whole is
// taken back; the next snapshot has it.
func (s *banStore) flush() error {
	if len(s.lines) == 0 {
		return nil
	}
	b := s.lines
	s.lines = s.lines[:0]
	if cap(s.lines) > 1<<20 {
		s.lines = nil
	}
	err := errors.New("the journal cannot be written")
	if s.journal != nil {
		var n int
		if n, err = s.journal.Write(b); err == nil {
			s.size += int64(n)
			s.dirty = true
			return nil
		}
		_ = s.journal.Truncate(s.size)
	}
	s.wanted = true
	return err
}

// full tells whether it is time for a snapshot: the journal says much more than
// the list of n bans, or is not to be relied on.
func (s *banStore) full(n int) bool { return s.wanted || s.count > max(4*n, banJournalLeast) }

// save writes a snapshot and begins an empty journal.
func (s *banStore) save(list []*ban.Ban) error {
	if err := s.snapshot(list); err != nil {
		return err
	}
	return s.cut(s.size, 0)
}

func (s *banStore) snapshot(list []*ban.Ban) error {
	return replaceBy(banPath(s.dir, "snapshot"), func(w io.Writer) error { return ban.Snapshot(w, list) })
}

// cut begins a journal with what stands in the former one behind a place: the
// snapshot has what stands before. lines is how many lines that is.
func (s *banStore) cut(from int64, lines int) error {
	var rest []byte
	if s.journal != nil {
		rest = make([]byte, max(s.size-from, 0))
		if _, err := s.journal.ReadAt(rest, from); err != nil && err != io.EOF {
			return err
		}
	}
	path := banPath(s.dir, "journal")
	if err := replaceFile(path, rest); err != nil {
		return err
	}
	if s.journal != nil {
		s.journal.Close()
		s.journal = nil
	}
	s.wanted = false
	s.count = lines
	s.open()
	return nil
}

// close writes the last snapshot, where there is anything to write.
func (s *banStore) close(list []*ban.Ban) error {
	if s.flight != nil {
		<-s.flight // an older list must not come after this one
	}
	err := s.flush()
	if s.size > 0 || s.wanted {
		err = s.save(list)
	}
	if s.journal != nil {
		s.journal.Close()
		s.journal = nil
	}
	return err
}

// syncBans brings the journal to the disk, off the loop. A kill of the daemon
// loses nothing in any case; a power failure loses what is not synced.
func (m *master) syncBans() {
	s := m.bans.store
	if s.syncing || !s.dirty || s.journal == nil {
		return
	}
	s.syncing, s.dirty = true, false
	f := s.journal
	go func() {
		err := f.Sync()
		m.loop.post(func() {
			s.syncing = false
			if err != nil && !errors.Is(err, os.ErrClosed) {
				m.log.Error("ban list", logging.Error(err))
			}
			m.syncBans()
		})
	}()
}

// saveBans writes a snapshot off the loop and drops of the journal what is in it.
func (m *master) saveBans() {
	b := m.bans
	s := b.store
	if s.saving || s.size == 0 && !s.wanted {
		return
	}
	s.saving, s.wanted = true, false
	list, from, lines := slices.Clone(b.engine.All()), s.size, s.count
	flight := make(chan struct{})
	s.flight = flight
	go func() {
		err := s.snapshot(list)
		close(flight)
		m.loop.post(func() {
			s.saving = false
			if err == nil {
				err = s.cut(from, s.count-lines)
			}
			if err != nil {
				s.count = 0 // not before the list has changed as much again
				m.log.Error("ban list", logging.Error(err))
			}
		})
	}()
}
