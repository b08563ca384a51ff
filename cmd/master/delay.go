package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/delay"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/shm"
)

// delayTable is the DelayTable as master keeps it: the object in shared memory,
// which authd writes, and the snapshot that lets it outlive the daemon.
type delayTable struct {
	object  *shm.DelayObject
	path    string // of the snapshot; "": none is kept
	written []byte // last, or read
	notes   []string
	saving  bool
	timer   timer
	next    uint32
	asked   map[uint32]func(any, error) // questions to authd by their id
}

// delayEvery is the time between two snapshots.
const delayEvery = 5 * time.Minute

// openDelays makes the table's object, or goes on with one that a killed or an
// earlier image has left; a fresh one is filled from the snapshot.
func openDelays(p *policy.Policy) (*delayTable, error) {
	rows := 0
	for i := range p.Hosts {
		rows += 6 * (1 + len(p.Hosts[i].ByClass)) // protocols x steps
	}
	o, err := shm.OpenDelayObject(shm.Dir, p.Global.Instance, max(2*rows, 192))
	if err != nil {
		return nil, err
	}
	d := &delayTable{object: o, path: snapshotPath(p), asked: map[uint32]func(any, error){}}
	switch origin, why := o.Origin(); {
	case origin == shm.Kept && o.Key() != [shm.DelayKeySize]byte{}:
		o.Keep()
		return d, nil
	case origin == shm.Rebuilt:
		d.note("the DelayTable in shared memory could not be used (%s): a new one", why)
	}
	key, saved := d.load()
	if key == [shm.DelayKeySize]byte{} {
		_, _ = rand.Read(key[:]) // never fails
	}
	o.Seed(key, saved)
	return d, nil
}

// snapshotPath is where the policy wants the snapshot: one a daemon, the default
// host's word.
func snapshotPath(p *policy.Policy) string {
	switch t := p.Hosts[0].Base.Auth.Delay.Table; t {
	case "none":
		return ""
	case "":
		return filepath.Join(p.Global.StateDir, "delay.table")
	default:
		return t
	}
}

func (d *delayTable) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// load reads the snapshot. What is none, is damaged or somebody else's is set
// aside and reported.
func (d *delayTable) load() (key [shm.DelayKeySize]byte, rows []shm.DelayRow) {
	if d.path == "" {
		return key, nil
	}
	b, err := readOwn(d.path, shm.MaxDelayFile)
	if os.IsNotExist(err) {
		return key, nil
	}
	if err == nil {
		if key, rows, err = shm.DecodeDelay(b); err == nil {
			d.written = b
			return key, rows
		}
	}
	var st unix.Stat_t
	if unix.Lstat(d.path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		d.note("delay table %q: a directory; no snapshot is kept", d.path)
		d.path = ""
		return key, nil
	}
	if e := os.Rename(d.path, d.path+".bad"); e != nil {
		d.note("delay table %q: %v; it cannot be set aside (%v), no snapshot is kept", d.path, err, e)
		d.path = ""
		return key, nil
	}
	d.note("delay table %q: %v; set aside as %q, the table begins anew", d.path, err, d.path+".bad")
	return [shm.DelayKeySize]byte{}, nil
}

// readOwn reads a file that only we can have written.
func readOwn(path string, most int64) ([]byte, error) {
	f, err := openOwn(path, most)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// openOwn opens a file to read that only we can have written, of most bytes.
func openOwn(path string, most int64) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ELOOP {
		return nil, fmt.Errorf("a symbolic link")
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = fmt.Errorf("not a regular file")
	case int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0:
		err = fmt.Errorf("owned by uid %d, mode %#o: others could have written it", st.Uid, st.Mode&0o7777)
	case st.Size > most:
		err = fmt.Errorf("%d bytes long", st.Size)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// startDelays logs what openDelays has found and begins to keep snapshots.
func (m *master) startDelays() {
	d := m.delays
	for _, n := range d.notes {
		m.log.Warn(n)
	}
	d.notes = nil
	d.timer.fn = m.saveDelays
	m.loop.after(&d.timer, delayEvery)
}

// saveDelays writes a snapshot off the loop, where the table has changed.
func (m *master) saveDelays() {
	d := m.delays
	m.loop.after(&d.timer, delayEvery)
	if d.saving || d.path == "" || m.stopping {
		return
	}
	d.saving = true
	go func() {
		b, err := d.save()
		m.loop.post(func() {
			d.saving = false
			if err != nil {
				m.log.Warn("delay table", logging.Error(err))
				return
			}
			d.written = b
		})
	}()
}

// save writes the snapshot and returns it. Nothing of d that changes is touched.
func (d *delayTable) save() ([]byte, error) {
	rows, _ := d.object.Rows()
	b := shm.EncodeDelay(d.object.Key(), rows)
	if bytes.Equal(b, d.written) {
		return b, nil
	}
	return b, replaceFile(d.path, b)
}

// replaceFile puts a file in place in one step, after it is on disk.
func replaceFile(path string, b []byte) error {
	return replaceBy(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// replaceBy is replaceFile of what write writes.
func replaceBy(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// closeDelays writes the last snapshot and removes the object.
func (m *master) closeDelays() {
	if m.delays.path != "" {
		if _, err := m.delays.save(); err != nil {
			m.log.Warn("delay table", logging.Error(err))
		}
	}
	if err := m.delays.object.Remove(); err != nil {
		m.log.Warn("delay table", logging.Error(err))
	}
}

// shareDelays gives authd the table, before its first configuration.
func (m *master) shareDelays(a *authd) {
	fd, err := m.delays.object.ReadWrite()
	if err != nil {
		m.log.Error("authd gets no DelayTable", logging.Error(err))
		return
	}
	key := m.delays.object.Key()
	m.sendAuthd(a, &ipc.DelayShare{Key: key[:]}, fd)
	unix.Close(fd)
	m.tellDelayTrace(a)
}

// tellDelayTrace tells authd how much the trace channel wants to hear.
func (m *master) tellDelayTrace(a *authd) {
	m.sendAuthd(a, &ipc.DelayTrace{Level: uint8(m.tracer.Channel(traceDelay).Level())})
}

// delayNote traces one answer.
func (m *master) delayNote(a *authd, n *ipc.DelayNote) {
	s := m.waitingFor(a, n.Session)
	if s == nil {
		return
	}
	ms := func(n int64) float64 { return float64(n) / 1e6 }
	m.trace(traceDelay, 5, "answer waits", s.c, slog.String("step", n.Step), slog.Float64("work_ms", ms(n.Work)),
		slog.Float64("queued_ms", ms(n.Queued)), slog.Float64("deadline_ms", ms(n.Deadline)), slog.Float64("leaves_ms", ms(n.At)),
		slog.Float64("on_event_ms", ms(n.Event)), slog.Bool("sample", n.Sampled))
}

// heldBack delays the greeting where on_event Connect says so: the connection
// costs what a silent one costs.
func (m *master) heldBack(c *client) bool {
	p := delay.From(c.set.Auth.Delay)
	wait := p.Wait(delay.EventConnect, delay.Chance)
	if wait <= 0 {
		return false
	}
	c.held.fn = func() {
		m.loop.del(c.fd)
		m.trace(traceAccept, 5, "greeted", c)
		m.greet(c)
	}
	err := m.loop.add(c.fd, unix.EPOLLRDHUP, func(uint32) {
		m.count(shm.LeftSilent)
		m.drop(c)
	})
	if err != nil {
		m.drop(c)
		return true
	}
	m.loop.after(&c.held, wait)
	return true
}

// askDelay puts a question to authd. done gets the answer, or why there is none.
func (m *master) askDelay(q func(id uint32) any, done func(any, error)) {
	a := m.authd.now
	if a == nil {
		done(nil, fmt.Errorf("%w: authd is down, it is being started again", control.ErrRefused))
		return
	}
	d := m.delays
	d.next++
	id := d.next
	late := &timer{}
	late.fn = func() { m.delayAnswer(id, nil, fmt.Errorf("authd does not answer: %w", context.DeadlineExceeded)) }
	m.loop.after(late, 5*time.Second)
	d.asked[id] = func(v any, err error) {
		m.loop.timers.stop(late)
		done(v, err)
	}
	m.sendAuthd(a, q(id))
}

func (m *master) delayAnswer(id uint32, v any, err error) {
	if done := m.delays.asked[id]; done != nil {
		delete(m.delays.asked, id)
		done(v, err)
	}
}
