package ban

// window counts the events of the last so many nanoseconds, sliding. Up to 32
// events it knows each one's time; a rule that counts further gets 32 buckets,
// which forget at most a 32nd of the window too late.
type window struct {
	times []int64 // ring of the newest, exact
	next  int
	cells [cells]uint32
	start int64 // of the newest cell
	last  int
	exact bool
	size  int64
}

const (
	cells    = 32
	maxExact = 32
)

func newWindow(size int64, count uint32) *window {
	w := &window{size: max(size, 1), exact: count <= maxExact}
	return w
}

// add counts one event and returns how many there are within the window.
func (w *window) add(now int64, most uint32) uint32 {
	if w.exact {
		if len(w.times) < int(most) {
			w.times = append(w.times, now)
		} else {
			w.times[w.next] = now
			w.next = (w.next + 1) % len(w.times)
		}
		return w.count(now)
	}
	w.turn(now)
	w.cells[w.last]++
	return w.count(now)
}

// turn moves on to the cell of now.
func (w *window) turn(now int64) {
	width := (w.size + cells - 1) / cells
	if w.start == 0 || now-w.start >= w.size+width {
		w.cells, w.last, w.start = [cells]uint32{}, 0, now
		return
	}
	for now-w.start >= width {
		w.last = (w.last + 1) % cells
		w.cells[w.last] = 0
		w.start += width
	}
}

// count returns how many events there are within the window.
func (w *window) count(now int64) uint32 {
	n := uint32(0)
	if w.exact {
		for _, t := range w.times {
			if t > now-w.size {
				n++
			}
		}
		return n
	}
	w.turn(now)
	for _, c := range w.cells {
		n += c
	}
	return n
}
