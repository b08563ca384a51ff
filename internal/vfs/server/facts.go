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
		b = appendStamp(b, st.Mtim.Sec)
		b = append(b, ';')
	}
	if l.facts&ipc.FactPerm != 0 {
		b = append(b, "perm="...)
		b = l.appendPerm(b, r)
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
		b = appendHex(b, u.Dev)
		b = append(b, 'U')
		b = appendHex(b, u.Ino)
		b = append(b, ';')
	}
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

// appendStamp appends a time as RFC 3659 §2.3 has it, in UTC.
func appendStamp(b []byte, sec int64) []byte {
	t := time.Unix(sec, 0).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, min(max(year, 0), 9999), 4)
	for _, n := range [...]int{int(month), day, hour, minute, second} {
		b = appendDigits(b, n, 2)
	}
	return b
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
