package main

import (
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"sallyport/internal/access"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// logs are the transfer and extended logs. Master alone has them open: a session
// reports what it did, master says about whom.
type logs struct {
	files    *logging.Files
	compiled map[*policy.Log]*logSet // of the files that are open
	version  uint64                  // of compiled
	any      bool                    // the configuration has logs
	skipped  uint64                  // records beyond what a session may send
	entry    logging.Entry           // of the record in hand
}

// logSet is the logs of one host and class, ready to be written.
type logSet struct {
	transfer *logging.File
	daemon   bool       // the transfer log is the daemon's own, at level
	level    slog.Level // of it
	extended []extendedLog
	totals   bool // a format shows %I or %O
}

type extendedLog struct {
	of     *policy.ExtendedLog
	format *logging.Format
	file   *logging.File // nil: the daemon's own log, at level
	level  slog.Level
}

// sessionLogs is what a session brings to its lines.
type sessionLogs struct {
	set       *logSet
	version   uint64           // of the logs that set was found in
	from      *policy.Settings // and the session's settings then
	root      string           // the directory that the client sees as "/"
	group     string
	gid       uint32
	connected bool // CONNECT is written
	records   bucket
}

// recordBurst bounds the records of a session in a second, and laneLogged the
// messages of one that has logs.
const (
	recordBurst = 16384
	laneLogged  = 4 * laneBurst
)

// savedLogs is what an upgrade in place hands on of them.
type savedLogs struct {
	Root, Group string
	GID         uint32
	Connected   bool
}

// login notes what lines say of an account.
func (l *sessionLogs) login(q *ipc.LoginReport, root string) {
	l.root, l.gid, l.group = root, q.GID, ""
	if len(q.GroupNames) == len(q.Groups)+1 { // else one has no name, and which it is is not known
		l.group = q.GroupNames[0]
	}
}

// burst is how many messages a session may send in a laneWindow: more where it
// has to report its commands. One that an earlier image has left may have to, too.
func (m *master) burst() int {
	if m.logs.any || m.upgrades.done > 0 {
		return laneLogged
	}
	return laneBurst
}

// logPaths lists the log files of a configuration.
func logPaths(p *policy.Policy) []string {
	var l []string
	eachSettings(p, func(s *policy.Settings) {
		l = append(l, s.Log.Transfer)
		for i := range s.Log.Extended {
			l = append(l, s.Log.Extended[i].Path)
		}
	})
	return logging.Paths(append(l, p.Ban.Log))
}

// eachSettings calls fn for the settings of every host, class and anonymous
// block.
func eachSettings(p *policy.Policy, fn func(*policy.Settings)) {
	each := func(s *policy.Settings) {
		fn(s)
		for i := range s.Anonymous {
			fn(&s.Anonymous[i].Settings)
		}
	}
	for i := range p.Hosts {
		each(&p.Hosts[i].Base)
		for j := range p.Hosts[i].ByClass {
			each(&p.Hosts[i].ByClass[j].Settings)
		}
	}
}

// openLogs opens the log files at the start. After an upgrade there are sessions
// to look after: what cannot be opened then is said, and does without.
func openLogs(p *policy.Policy, resumed bool) (*logging.Opened, error) {
	if !resumed {
		return logging.OpenAll(logPaths(p), nil)
	}
	o, errs := logging.OpenSome(logPaths(p), nil)
	for _, err := range errs {
		fmt.Fprintln(os.Stderr, "sallyport:", err)
	}
	return o, nil
}

// reopen opens the files of the configuration in force anew: one that was moved
// away is left behind. A reload does it in any case, and so log rotation works
// even while somebody edits the configuration.
func (l *logs) reopen(m *master) {
	o, errs := logging.OpenSome(logPaths(m.gen.policy), l.files)
	for _, err := range errs {
		m.log.Error("log file", logging.Error(err))
	}
	l.take(o, m.gen.policy)
}

// take puts opened files in force. What was compiled refers to the former ones.
func (l *logs) take(o *logging.Opened, p *policy.Policy) {
	l.files.Take(o)
	l.any = false
	eachSettings(p, func(s *policy.Settings) { l.any = l.any || s.Log.Transfer != "" || len(s.Log.Extended) > 0 })
	l.compiled = map[*policy.Log]*logSet{}
	l.version++
}

// logsOf returns the logs of a session: those that the configuration in force
// has for its host, class and anonymous block, also where it began under an
// earlier one.
func (m *master) logsOf(s *session) *logSet {
	l := &s.logs
	if l.set == nil || l.version != m.logs.version || l.from != s.c.set {
		l.version, l.from = m.logs.version, s.c.set
		l.set = m.compile(m.logNow(s.c))
	}
	return l.set
}

// logNow is what the configuration in force has for a connection.
func (m *master) logNow(c *client) *policy.Log {
	if c.gen == m.gen {
		return &c.set.Log
	}
	for i := range m.gen.policy.Hosts {
		h := &m.gen.policy.Hosts[i]
		if h.Name != c.host {
			continue
		}
		set := h.For(c.class)
		if c.session == nil || c.session.anonymous == 0 {
			return &set.Log
		}
		if was := access.Anonymous(c.base, c.session.anonymous); was != nil {
			for j := range set.Anonymous {
				if a := &set.Anonymous[j]; a.Path == was.Path && a.User == was.User {
					return &a.Settings.Log
				}
			}
		}
		return &set.Log
	}
	return &c.set.Log // the host has gone: what is still open
}

func (m *master) compile(l *policy.Log) *logSet {
	if x := m.logs.compiled[l]; x != nil {
		return x
	}
	x := &logSet{transfer: m.logs.files.Get(l.Transfer)}
	x.level, x.daemon, _ = logging.ParseTarget(l.Transfer)
	for i := range l.Extended {
		e := extendedLog{of: &l.Extended[i]}
		var daemon bool
		var err error
		if e.level, daemon, err = logging.ParseTarget(e.of.Path); err == nil {
			e.format, err = logging.ParseFormat(e.of.Format)
		}
		if err != nil { // the configuration was checked
			m.log.Error("extended log", logging.Error(err))
			continue
		}
		if e.file = m.logs.files.Get(e.of.Path); e.file == nil && !daemon {
			continue // could not be opened; that was said
		}
		x.totals = x.totals || e.format.Totals()
		x.extended = append(x.extended, e)
	}
	m.logs.compiled[l] = x
	return x
}

// logRecord writes what a session reports of a command. The report is a claim:
// about whom it is, is not the session's to say.
func (m *master) logRecord(s *session, r *ipc.Record) {
	if !s.logs.records.take(m.loop.now) {
		m.logs.skipped++
		return
	}
	if r.Lost > 0 {
		m.logs.skipped += uint64(r.Lost)
		if s.reports.take(m.loop.now) {
			m.log.Warn("commands without a line in the logs: too many a second", append(s.facts(), logging.Kind(logging.RecordsDropped), "count", r.Lost)...)
		}
	}
	r.Class &= policy.LogAll
	m.writeRecord(s, r, "")
}

// logConnect writes that a session has got its client, once it is known who
// that is.
func (m *master) logConnect(s *session) {
	if s.logs.connected || s.c.proxied && !s.c.headed {
		return
	}
	s.logs.connected = true
	m.writeRecord(s, &ipc.Record{Class: policy.LogConnect, Verb: "CONNECT"}, "")
}

// logExit writes the lines of a session's end: of the transfer that it leaves
// unfinished, and of the end itself.
func (m *master) logExit(s *session, ws unix.WaitStatus) {
	if s.c == nil || !s.logs.connected {
		return
	}
	if r := s.unfinished(m.loop.now); r != nil {
		m.writeRecord(s, r, "")
	}
	r := &ipc.Record{Class: policy.LogExit, Verb: "EXIT"}
	if v, ok := s.page.Snapshot(); ok {
		r.Cwd = v.Dir
		if v.TLS {
			r.Protocol = "ftps"
		}
	}
	m.writeRecord(s, r, logging.Disconnect(s.ended(ws)))
}

// writeRecord writes the lines that a record has in the session's logs.
func (m *master) writeRecord(s *session, r *ipc.Record, reason string) {
	set := m.logsOf(s)
	e := &m.logs.entry
	e.Rec = nil
	if (set.transfer != nil || set.daemon) && logging.InTransferLog(r) {
		m.describe(s, r, reason, set)
		if set.daemon {
			m.transferDone(s, e, set.level)
		} else {
			m.scratch = logging.AppendTransfer(m.scratch[:0], e)
			set.transfer.Line(m.scratch)
		}
	}
	for i := range set.extended {
		x := &set.extended[i]
		if !logging.Wants(x.of, r) {
			continue
		}
		if e.Rec == nil {
			m.describe(s, r, reason, set)
		}
		if x.file != nil {
			m.scratch = x.format.Append(m.scratch[:0], e)
			x.file.Line(m.scratch)
			continue
		}
		m.scratch = x.format.AppendRaw(m.scratch[:0], e)
		m.log.Log(background, x.level, string(m.scratch), append(s.facts(), logging.Kind(logging.CommandDone))...)
	}
}
