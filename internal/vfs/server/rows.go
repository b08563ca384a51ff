package server

import (
	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// row is an entry with all that its line needs.
type row struct {
	name   string // as shown; of a header the directory's
	header bool
	st     unix.Stat_t // what the line shows
	isLink bool        // the entry is a link and shown as one
	link   string      // where it points to, LIST
	target unix.Stat_t // what it points to, where known
	found  bool        // target is known
	dot    byte        // 1 ".", 2 ".."
}

// describe gathers what the line of an entry needs into r, which may hold an
// earlier entry; false leaves it out: it vanished, or it is a link that leads
// nowhere where that is not shown.
func (l *listing) describe(e *entry, r *row) bool {
	r.name, r.link = l.cur.display(e), ""
	r.header, r.isLink, r.found, r.dot = false, false, false, 0
	if l.namesAlone() {
		r.st = unix.Stat_t{}
		return l.form == ipc.FormList && l.s.rules.ShowSymlinks || l.hasName(e)
	}
	known, err := l.ahead.facts(l.cur.at-1, &r.st)
	if !known {
		err = l.lstat(e, &r.st)
	}
	if err != nil {
		return false
	}
	link := isLink(&r.st)
	if link && !l.describeLink(e, r) {
		return false
	}
	inDir := l.cur.fd >= 0
	if inDir && len(e.name) <= 2 && (e.name == "." || e.name == "..") {
		r.dot = byte(len(e.name))
	}
	if l.o.recurse && inDir && r.dot == 0 && isDir(&r.st) && !link {
		l.descend(job{path: join(l.cur.dir, e.name), shown: namesPrefix(l.cur.shown) + e.name, depth: l.cur.depth + 1, header: true})
	}
	return true
}

// namesAlone tells whether lines are names, for which nobody is asked about the
// objects.
func (l *listing) namesAlone() bool {
	return l.form == ipc.FormNames || !l.o.long && l.form == ipc.FormList && !l.o.classify && !l.o.recurse
}

// describeLink decides how a symbolic link is shown.
func (l *listing) describeLink(e *entry, r *row) bool {
	show := l.s.rules.ShowSymlinks && (!l.o.deref || l.form >= ipc.FormMLSD)
	if !show || l.o.classify || l.form >= ipc.FormMLSD {
		if p := l.cur.path(e); len(p) <= vfs.MaxPath {
			st, err := l.s.tree.stat(p, true)
			r.target, r.found = st, err == nil
		}
	}
	if !show {
		if r.found {
			r.st = r.target
			return true
		}
		if !l.s.rules.ShowSymlinks {
			return false
		}
	}
	r.isLink = true
	if l.form == ipc.FormList && l.o.long {
		r.link = l.readlink(e)
	}
	return true
}

// readlink returns where a link points to, "" if that cannot be read.
func (l *listing) readlink(e *entry) string {
	var buf [unix.PathMax]byte
	dir, name := l.cur.fd, e.name
	if dir < 0 {
		fd, _, err := l.s.tree.handle(e.name, false)
		if err != nil {
			return ""
		}
		defer unix.Close(fd)
		dir, name = fd, ""
	}
	n, err := unix.Readlinkat(dir, name, buf[:])
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// hasName tells whether NLST shows the entry: a link that leads nowhere is no use
// to a client that fetches what it sees. LIST shows it in every form.
func (l *listing) hasName(e *entry) bool {
	typ := e.typ
	if typ == unix.DT_UNKNOWN {
		var st unix.Stat_t
		if l.lstat(e, &st) != nil {
			return false
		}
		if isLink(&st) {
			typ = unix.DT_LNK
		}
	}
	if typ != unix.DT_LNK {
		return true
	}
	p := l.cur.path(e)
	if len(p) > vfs.MaxPath {
		return false
	}
	_, err := l.s.tree.stat(p, true)
	return err == nil
}

// loadNames makes the names of the window's owners known.
func (l *listing) loadNames() {
	users := l.form == ipc.FormList && l.o.long && !l.o.numeric
	groups := users
	if l.form >= ipc.FormMLSD {
		users, groups = l.facts&ipc.FactUnixOwnerName != 0, l.facts&ipc.FactUnixGroupName != 0
	}
	if !users && !groups {
		return
	}
	uids, gids := make([]uint32, 0, 8), make([]uint32, 0, 8)
	for i := range l.rows {
		st := &l.rows[i].st
		if n := len(uids); users && !l.rows[i].header && (n == 0 || uids[n-1] != st.Uid) {
			uids = append(uids, st.Uid)
		}
		if n := len(gids); groups && !l.rows[i].header && (n == 0 || gids[n-1] != st.Gid) {
			gids = append(gids, st.Gid)
		}
	}
	l.s.names.load(uids, gids)
}
