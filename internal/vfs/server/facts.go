package server

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// appendFacts appends the facts of RFC 3659 §7.5 that were asked for, in a fixed
// order.
func (l *listing) appendFacts(b []byte, r *row) []byte {
	st := &r.st
	if l.facts&ipc.FactModify != 0 {
		b = append(b, "modify="...)
		b = l.memo.stamp(b, st.Mtim.Sec)
		b = append(b, ';')
	}
	if l.facts&ipc.FactPerm != 0 {
		b = append(b, "perm="...)
		b = append(b, l.perm(r)...)
		b = append(b, ';')
	}
	if l.facts&ipc.FactSize != 0 && isRegular(st) {
		b = append(b, "size="...)
		b = strconv.AppendInt(b, st.Size, 10)
		b = append(b, ';')
	}
	if l.facts&ipc.FactType != 0 {
		b = append(b, "type="...)
		b = append(b, r.typeFact()...)
		b = append(b, ';')
	}
	if l.facts&ipc.FactUnique != 0 {
		u := st
		if r.isLink && r.found { // the same file, under whatever name
			u = &r.target
		}
		b = append(b, "unique="...)
		b = l.memo.device(b, u.Dev)
		b = append(b, 'U')
		b = appendHex(b, u.Ino)
		b = append(b, ';')
	}
	if l.memo.unix.differs(st) {
		l.memo.unix.text = l.appendUnixFacts(l.memo.unix.text[:0], st)
	}
	return append(b, l.memo.unix.text...)
}

// factMemo keeps what the last entry's facts were made of: in most directories
// the next one's are the same.
type factMemo struct {
	days int64 // since 1970, of date
	date []byte
	dev  uint64 // of hex
	hex  []byte

	unix, perm ownedText
}

// ownedText is a text that depends on mode and owners alone.
type ownedText struct {
	known          bool
	mode, uid, gid uint32
	text           []byte
}

// differs tells whether the text has to be made anew, for st.
func (t *ownedText) differs(st *unix.Stat_t) bool {
	if t.known && t.mode == st.Mode && t.uid == st.Uid && t.gid == st.Gid {
		return false
	}
	t.known, t.mode, t.uid, t.gid = true, st.Mode, st.Uid, st.Gid
	return true
}

// appendUnixFacts appends the facts that are of the mode and of the owners.
func (l *listing) appendUnixFacts(b []byte, st *unix.Stat_t) []byte {
	if l.facts&ipc.FactUnixGroup != 0 {
		b = append(b, "UNIX.group="...)
		b = strconv.AppendUint(b, uint64(st.Gid), 10)
		b = append(b, ';')
	}
	if l.facts&ipc.FactUnixGroupName != 0 {
		b = appendNameFact(b, "UNIX.groupname=", l.s.names.groups[st.Gid], st.Gid)
	}
	if l.facts&ipc.FactUnixMode != 0 {
		b = append(b, "UNIX.mode=0"...)
		b = strconv.AppendUint(b, uint64(st.Mode&0o7777), 8)
		b = append(b, ';')
	}
	if l.facts&ipc.FactUnixOwner != 0 {
		b = append(b, "UNIX.owner="...)
		b = strconv.AppendUint(b, uint64(st.Uid), 10)
		b = append(b, ';')
	}
	if l.facts&ipc.FactUnixOwnerName != 0 {
		b = appendNameFact(b, "UNIX.ownername=", l.s.names.users[st.Uid], st.Uid)
	}

	return b
}

func (r *row) typeFact() string {
	switch {
	case r.isLink:
		return "OS.unix=symlink"
	case r.dot == 1:
		return "cdir"
	case r.dot == 2:
		return "pdir"
	case isDir(&r.st):
		return "dir"
	}
	return "file"
}

// stamp appends a time as RFC 3659 §2.3 has it, in UTC.
func (m *factMemo) stamp(b []byte, sec int64) []byte {
	const perDay = 24 * 60 * 60
	days, left := sec/perDay, sec%perDay
	if left < 0 {
		days, left = days-1, left+perDay
	}
	if days != m.days || len(m.date) == 0 {
		year, month, day := time.Unix(sec, 0).UTC().Date()
		m.days = days
		m.date = appendDigits(m.date[:0], min(max(year, 0), 9999), 4)
		m.date = appendDigits(appendDigits(m.date, int(month), 2), day, 2)
	}
	b = append(b, m.date...)
	for _, n := range [...]int64{left / 3600, left / 60 % 60, left % 60} {
		b = appendDigits(b, int(n), 2)
	}
	return b
}

// device appends the number of a file system.
func (m *factMemo) device(b []byte, dev uint64) []byte {
	if dev != m.dev || len(m.hex) == 0 {
		m.dev, m.hex = dev, appendHex(m.hex[:0], dev)
	}
	return append(b, m.hex...)
}

func appendHex(b []byte, n uint64) []byte {
	start := len(b)
	b = strconv.AppendUint(b, n, 16)
	for i := start; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b
}

// appendNameFact appends the name of an id, or the id where there is none.
func appendNameFact(b []byte, fact, name string, id uint32) []byte {
	b = append(b, fact...)
	if name == "" {
		b = strconv.AppendUint(b, uint64(id), 10)
	} else {
		b = append(b, name...)
	}
	return append(b, ';')
}

// perm is the value of the perm fact, valid until the next call.
func (l *listing) perm(r *row) []byte {
	p := &l.memo.perm
	if r.isLink || r.dot != 0 { // more than its mode counts
		p.known = false
		p.text = l.appendPerm(p.text[:0], r)
	} else if p.differs(&r.st) {
		p.text = l.appendPerm(p.text[:0], r)
	}
	return p.text
}

// appendPerm appends the perm fact (RFC 3659 §7.5.5): what this user may do
// with the object, computed from the modes. Of a link it is what may be done
// with its target, and to the link itself where names are changed.
func (l *listing) appendPerm(b []byte, r *row) []byte {
	st := &r.st
	if r.isLink {
		if st = &r.target; !r.found {
			st = &unix.Stat_t{}
		}
	}
	may, change := l.s.ids.may(st), r.dot == 0 && l.mayChange(r)
	letters := []struct {
		letter byte
		ok     bool
	}{
		{'a', may&mayWrite != 0}, {'d', change}, {'f', change}, {'r', may&mayRead != 0}, {'w', may&mayWrite != 0},
	}
	if isDir(st) {
		in := may&(mayWrite|mayExec) == mayWrite|mayExec
		letters = []struct {
			letter byte
			ok     bool
		}{
			{'c', in}, {'d', change}, {'e', may&mayExec != 0}, {'f', change}, {'l', may&(mayRead|mayExec) == mayRead|mayExec}, {'m', in}, {'p', in},
		}
	}
	for _, x := range letters {
		if x.ok {
			b = append(b, x.letter)
		}
	}
	return b
}

// mayChange tells whether the object may be removed or renamed.
func (l *listing) mayChange(r *row) bool {
	entry := &r.st
	if l.form == ipc.FormMLST {
		return l.cur.entries[0].name != "/" && l.s.ids.mayUnlinkFrom(&l.dir, entry)
	}
	return l.s.ids.mayUnlinkFrom(&l.cur.st, entry)
}
