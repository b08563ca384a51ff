package server

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// maxUploads bounds the uploads of a session that wait to be settled.
const maxUploads = 64

// upload is a file that the session writes and that has to be looked at in the
// end. It has its own duplicate of the descriptor: nothing that happens to the
// name, or that the session says, changes which file that is.
type upload struct {
	file    int
	dir     int    // O_PATH, where it lies
	name    string // as the client sees it
	temp    string // its name until Finish, "" where that is name
	created bool   // it was not there before
	floor   int64  // bytes that were there before and are nobody's to cut off
	most    int64  // 0: no limit
}

// toSettle tells whether uploads of this session need a Finish. They do not
// under the default rules.
func (s *Server) toSettle(created, hidden bool) bool {
	return hidden || s.maxStore > 0 || s.rules.FSync || s.rules.DeleteAborted && created
}

// track remembers an upload that was granted, if there is something to settle in
// the end. name is the client's, temp that of a hidden one.
func (s *Server) track(o opened, dir int, name, temp string) opened {
	if o.fd < 0 || !s.toSettle(o.reply.Created, temp != "") {
		return o
	}
	u := &upload{file: -1, dir: -1, name: name, temp: temp, created: o.reply.Created, most: s.maxStore}
	if temp == "" {
		u.floor = o.reply.Size
	}
	var err error
	if len(s.uploads) >= maxUploads {
		err = unix.EMFILE
	}
	if err == nil {
		u.file, err = unix.FcntlInt(uintptr(o.fd), unix.F_DUPFD_CLOEXEC, minFile)
	}
	if err == nil {
		u.dir, err = unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, minFile)
	}
	if err != nil {
		if o.reply.Created || temp != "" {
			var mine unix.Stat_t
			if unix.Fstat(o.fd, &mine) == nil {
				removeSame(dir, u.current(), &mine)
			}
		}
		u.close()
		unix.Close(o.fd)
		return refuseOpen(err)
	}
	if s.uploads == nil {
		s.uploads = make(map[uint32]*upload)
	}
	for s.lastUpload++; s.lastUpload == 0 || s.uploads[s.lastUpload] != nil; {
		s.lastUpload++
	}
	s.uploads[s.lastUpload] = u
	o.reply.Upload, o.reply.Most = s.lastUpload, u.most
	return o
}

// minFile keeps duplicates away from the standard streams; the sandbox demands
// it.
const minFile = 3

// current is the name the file has now.
func (u *upload) current() string {
	if u.temp != "" {
		return u.temp
	}
	return u.name
}

func (u *upload) close() {
	for _, fd := range []int{u.file, u.dir} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// finish settles an upload.
func (s *Server) finish(r *ipc.Finish) ipc.FinishReply {
	u := s.uploads[r.Upload]
	if u == nil {
		return ipc.FinishReply{Errno: uint32(unix.EINVAL)}
	}
	delete(s.uploads, r.Upload)
	return s.settle(u, r.Whole)
}

// abort settles all uploads as failed: the session is gone.
func (s *Server) abort() {
	for id, u := range s.uploads {
		delete(s.uploads, id)
		s.settle(u, false)
	}
}

// settle decides what becomes of an upload. whole is the session's word that all
// has come; of the size only fstat is believed.
func (s *Server) settle(u *upload, whole bool) (a ipc.FinishReply) {
	defer u.close()
	var st unix.Stat_t
	err := unix.Fstat(u.file, &st)
	if err == nil {
		err = u.bound(&st)
	}
	if err == nil && whole {
		err = s.keep(u, &st)
	}
	a.Size = st.Size
	if (err != nil || !whole) && s.unwanted(u) {
		a.Removed = removeSame(u.dir, u.current(), &st)
	}
	a.Errno, a.Denied = verdict(err)
	return a
}

// bound cuts a file that has grown beyond its limit. What was there before the
// upload is never cut off.
func (u *upload) bound(st *unix.Stat_t) error {
	most := max(u.most, u.floor)
	if u.most == 0 || st.Size <= most {
		return nil
	}
	if err := unix.Ftruncate(u.file, most); err != nil {
		return err
	}
	st.Size = most
	return refusal(ipc.DeniedSize)
}

// keep makes a whole upload durable and gives a hidden one its name.
func (s *Server) keep(u *upload, st *unix.Stat_t) error {
	if s.rules.FSync {
		if err := unix.Fsync(u.file); err != nil {
			return err
		}
	}
	if u.temp != "" {
		if err := s.unhide(u, st); err != nil {
			return err
		}
		u.temp = ""
	} else if !u.created {
		return nil
	}
	if s.rules.FSync {
		return syncDir(u.dir)
	}
	return nil
}

// unhide renames a hidden upload, under the rules as they apply now: somebody
// may have made a file of that name meanwhile, or put another one in the place of
// the temporary one.
func (s *Server) unhide(u *upload, mine *unix.Stat_t) error {
	st, err := lstat(u.dir, u.temp)
	if err != nil {
		return err
	}
	if !sameFile(&st, mine) {
		return unix.ESTALE
	}
	if err := s.mayOverwrite(u.dir, u.name, false, 0); err != nil && err != unix.ENOENT {
		return err
	}
	return s.replace(u.dir, u.temp, u.dir, u.name)
}

// unwanted tells whether a failed upload is taken away: a temporary file unless
// the administrator wants it kept, any other if it was not there before and
// delete_aborted_stores is on.
func (s *Server) unwanted(u *upload) bool {
	if u.temp != "" {
		return !s.rules.HiddenStores.Keep
	}
	return s.rules.DeleteAborted && u.created
}

// openHidden opens the temporary file of a STOR, after the rules have been
// applied to the file it is to become.
func (s *Server) openHidden(dir int, name string, offset int64) opened {
	err := s.mayOverwrite(dir, name, false, offset)
	there := err != unix.ENOENT
	switch {
	case err != nil && there:
		return refuseOpen(err)
	case offset != 0:
		return refuseOpen(refusal(ipc.DeniedHiddenRest))
	}
	temp := s.hidden.name(name)
	fd, err := s.create(dir, temp, unix.O_WRONLY|unix.O_NOFOLLOW|transferFlags)
	if err == unix.EEXIST {
		o := refuseOpen(refusal(ipc.DeniedHidden))
		o.reply.Path = temp
		return o
	}
	if err != nil {
		o := refuseOpen(err)
		if err == unix.ENAMETOOLONG { // and the file's own name is not
			o.reply.Path = temp
		}
		return o
	}
	o := created(fd)
	o.reply.Created, o.reply.Hidden, o.reply.Path = !there, true, temp
	return s.track(o, dir, name, temp)
}

// hiding is hidden_stores: how temporary names are made and recognized. "%P" in
// the prefix is this process's number, of any process when a name is looked at.
type hiding struct {
	on             bool
	before, after  string // the prefix, around %P
	numbered       bool
	prefix, suffix string
}

func newHiding(on bool, prefix, suffix string, pid int) hiding {
	h := hiding{on: on, suffix: suffix, prefix: strings.Replace(prefix, "%P", strconv.Itoa(pid), 1)}
	h.before, h.after, h.numbered = strings.Cut(prefix, "%P")
	return h
}

// sound tells whether the names that come of it lie in the same directory and
// differ from the client's.
func (h *hiding) sound() bool {
	all := h.prefix + h.suffix
	return !h.on || all != "" && !strings.ContainsAny(all, "/\x00")
}

func (h *hiding) name(name string) string { return h.prefix + name + h.suffix }

// covers tells whether an entry of a directory looks like an upload under way.
func (h *hiding) covers(e *entry) bool {
	if !h.on || e.typ != unix.DT_REG && e.typ != unix.DT_UNKNOWN {
		return false
	}
	rest, ok := strings.CutPrefix(e.name, h.before)
	if ok && h.numbered {
		digits := strings.TrimLeft(rest, "0123456789")
		if len(digits) == len(rest) {
			return false
		}
		rest, ok = strings.CutPrefix(digits, h.after)
	}
	return ok && len(rest) > len(h.suffix) && strings.HasSuffix(rest, h.suffix)
}
