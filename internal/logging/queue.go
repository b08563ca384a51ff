package logging

import (
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

// maxQueued bounds the memory of records that wait, in bytes.
const maxQueued = 4 << 20

// item is an encoded record, or a mark that somebody waits for.
type item struct {
	data []byte
	mark chan struct{}
}

// queue hands records to the one goroutine that writes them.
type queue struct {
	items   chan item
	bytes   atomic.Int64 // in items
	dropped atomic.Uint64
	stop    chan struct{}
	stopped atomic.Bool
	done    chan struct{}
}

func newQueue(w io.Writer, enc encoder, n int) *queue {
	q := &queue{items: make(chan item, n), stop: make(chan struct{}), done: make(chan struct{})}
	go q.run(w, enc)
	return q
}

// put queues a record or counts its loss.
func (q *queue) put(b []byte) {
	if q.stopped.Load() {
		q.dropped.Add(1)
		return
	}
	if q.bytes.Add(int64(len(b))) > maxQueued {
		q.bytes.Add(-int64(len(b)))
		q.dropped.Add(1)
		return
	}
	select {
	case q.items <- item{data: b}:
	default:
		q.bytes.Add(-int64(len(b)))
		q.dropped.Add(1)
	}
}

// run writes until close. Losses are reported by a record of their own as soon
// as one could be written again.
func (q *queue) run(w io.Writer, enc encoder) {
	defer close(q.done)
	var reported uint64
	write := func(it item) {
		if it.mark != nil {
			close(it.mark)
			return
		}
		q.bytes.Add(-int64(len(it.data)))
		if _, err := w.Write(it.data); err != nil {
			q.dropped.Add(1)
			return
		}
		if lost := q.dropped.Load(); lost != reported {
			if _, err := w.Write(enc.encode(lossRecord(lost - reported))); err == nil {
				reported = lost
			}
		}
	}
	for {
		select {
		case it := <-q.items:
			write(it)
		case <-q.stop:
			for {
				select {
				case it := <-q.items:
					write(it)
				default:
					return
				}
			}
		}
	}
}

func lossRecord(n uint64) *record {
	s := strconv.FormatUint(n, 10)
	return &record{
		time: time.Now(), level: LevelCrit,
		message: s + " log records were lost: the log did not keep up",
		attrs:   []pair{{KeyEvent, string(RecordsDropped)}, {"count", s}},
	}
}

func (q *queue) flush(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	mark := make(chan struct{})
	select {
	case q.items <- item{mark: mark}:
	case <-q.done:
		return true
	case <-t.C:
		return false
	}
	select {
	case <-mark:
	case <-q.done:
	case <-t.C:
		return false
	}
	return true
}

func (q *queue) close(d time.Duration) {
	if q.stopped.Swap(true) {
		return
	}
	close(q.stop)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-q.done:
	case <-t.C:
	}
}
