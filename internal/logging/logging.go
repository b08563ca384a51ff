package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Levels between and above slog's own. Security decisions are LevelNotice or
// slog.LevelWarn, what works is slog.LevelInfo, internal faults slog.LevelError,
// lost records LevelCrit.
const (
	LevelNotice = slog.Level(2)
	LevelCrit   = slog.Level(12)
)

// Formats of Options.Format.
const (
	FormatAuto    = "auto"    // the journal where standard error is connected to it, else text
	FormatText    = "text"    // lines to Output
	FormatJournal = "journal" // native protocol, whatever Output is
)

// Options choose where records go. The zero value is right for the daemon.
type Options struct {
	Format  string       // "" is FormatAuto
	Level   slog.Leveler // nil: Info
	Output  *os.File     // of text; nil: standard error
	Queue   int          // records in memory; 0: 4096
	Socket  string       // of the journal; "": /run/systemd/journal/socket
	Version string       // SALLYPORT_VERSION, if not empty
}

// Log is a logger and the queue behind it. Its slog methods may be called from
// any goroutine; they neither block nor fail.
type Log struct {
	*slog.Logger
	queue  *queue
	format string
}

// New starts the writer. The only errors are a Format that is no format and a
// journal that was asked for by name and is not there.
func New(o Options) (*Log, error) {
	if o.Output == nil {
		o.Output = os.Stderr
	}
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.Socket == "" {
		o.Socket = "/run/systemd/journal/socket"
	}
	stream := journalStream(o.Output)
	var (
		enc  encoder = text{prefixed: stream}
		sink io.Writer
	)
	sink = o.Output
	format := FormatText
	switch o.Format {
	case FormatText:
	case "", FormatAuto, FormatJournal:
		if o.Format != FormatJournal && !stream {
			break
		}
		j, err := dialJournal(o.Socket, o.Output)
		if err == nil {
			enc, sink, format = journal{version: o.Version}, j, FormatJournal
		} else if o.Format == FormatJournal {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("log format %q: not one of auto, text, journal", o.Format)
	}
	q := newQueue(sink, enc, o.Queue)
	l := &Log{queue: q, format: format}
	l.Logger = slog.New(&handler{queue: q, enc: enc, level: o.Level})
	return l, nil
}

// Format is the one in use: FormatText or FormatJournal.
func (l *Log) Format() string { return l.format }

// Flush waits until what was logged before is written, at most for d. It
// reports whether it is.
func (l *Log) Flush(d time.Duration) bool { return l.queue.flush(d) }

// Close flushes for at most d and ends the writer; later records are dropped.
func (l *Log) Close(d time.Duration) { l.queue.close(d) }

// Dropped counts the records lost so far because the log did not keep up.
func (l *Log) Dropped() uint64 { return l.queue.dropped.Load() }

// journalStream tells whether f is what systemd connected to the journal: the
// device and inode that JOURNAL_STREAM names.
func journalStream(f *os.File) bool {
	dev, ino, ok := strings.Cut(os.Getenv("JOURNAL_STREAM"), ":")
	if !ok {
		return false
	}
	d, err1 := strconv.ParseUint(dev, 10, 64)
	i, err2 := strconv.ParseUint(ino, 10, 64)
	var st unix.Stat_t
	return err1 == nil && err2 == nil && unix.Fstat(int(f.Fd()), &st) == nil &&
		uint64(st.Dev) == d && st.Ino == i //nolint:unconvert // Dev is 32 bits wide on some systems
}
