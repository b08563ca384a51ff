package shm

import "math"

// PageView is what a session says of itself. Texts are bytes as the client sent
// them: escape them before they meet a log or a terminal. Counts never exceed
// math.MaxInt64, times never lie in the future.
type PageView struct {
	State    State
	Since    int64 // CLOCK_MONOTONIC, nanoseconds, of the change to State
	Activity int64 // the same of the last sign of life
	Ended    int64 // the same of the end of the last transfer or listing; 0: none yet
	TLS      bool  // the control connection is protected

	Verb   string // command in hand, at most MaxVerb bytes; empty if none
	Arg    string // at most MaxArg bytes
	ArgCut bool   // there was more
	Dir    string // working directory, at most MaxDir bytes
	DirCut bool

	Size     int64 // bytes of the transfer in hand; -1: not known
	Done     int64 // bytes of it so far
	BytesIn  int64
	BytesOut int64
	Commands int64
	Files    int64
}

// Snapshot reads the page. It returns false, and a view with the counters alone
// (or nothing at all), if no unbroken copy was to be had: the session was
// killed while it wrote, or plays tricks.
func (p *Page) Snapshot() (PageView, bool) {
	if p.w == nil || p.w[pageMagic].Load() != pageHash {
		return PageView{Size: -1}, false
	}
	now := monotonic()
	v := PageView{
		Size:     -1,
		Activity: past(p.w[pageActivity].Load(), now),
		Ended:    past(p.w[pageEnded].Load(), now),
		Commands: count(p.w[pageCommands].Load()),
		Files:    count(p.w[pageFiles].Load()),
		BytesIn:  count(p.w[pageIn].Load()),
		BytesOut: count(p.w[pageOut].Load()),
		Done:     count(p.w[pageDone].Load()),
	}
	var r [recWords]uint64
	if !p.rec.read(r[:]) {
		return v, false
	}
	head := r[recState]
	if s := State(head & 0xff); s < numStates {
		v.State = s
	}
	v.Since = past(r[recSince], now)
	v.Size = max(-1, int64(r[recSize]))
	v.Verb = text(r[recVerb:recArg], int(head>>8&0xff))
	v.Arg = text(r[recArg:recDir], int(head>>16&0xffff))
	v.Dir = text(r[recDir:recWords], int(head>>32&0xffff))
	v.ArgCut, v.DirCut, v.TLS = head>>48&cutArg != 0, head>>48&cutDir != 0, head>>48&overTLS != 0
	if v.State != StateDownloading && v.State != StateUploading && v.State != StateListing {
		v.Size, v.Done = -1, 0
	}
	return v, true
}

// Activity returns the time of the session's last sign of life (CLOCK_MONOTONIC,
// nanoseconds) and the bytes it has transferred in both directions, without a
// copy of the rest.
func (p *Page) Activity() (at, bytes int64) {
	if p.w == nil {
		return 0, 0
	}
	in, out := count(p.w[pageIn].Load()), count(p.w[pageOut].Load())
	return past(p.w[pageActivity].Load(), monotonic()), count(uint64(in) + uint64(out))
}

// Moved returns the bytes that the session has transferred, of either direction,
// without a look at the rest, for which a session can make its reader wait.
func (p *Page) Moved() (in, out uint64) {
	if p.w == nil || p.w[pageMagic].Load() != pageHash {
		return 0, 0
	}
	return uint64(count(p.w[pageIn].Load())), uint64(count(p.w[pageOut].Load()))
}

// count makes a claimed count a number that later sums survive.
func count(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// past makes a claimed time one that has been.
func past(at uint64, now int64) int64 { return min(count(at), now) }
