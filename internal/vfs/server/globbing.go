package server

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs/glob"
)

// Limits of a pattern; beyond them it is E2BIG.
const (
	globLevels  = 8         // components that are patterns
	globMatches = 100_000   // paths
	globBytes   = 16 << 20  // of the paths
	globSteps   = 50 << 20  // of work, about a second: a step is one of matching,
	readSteps   = 8         // reading an entry counts as so many,
	lookSteps   = 64        // a look at a path, besides one for each of its bytes,
	openSteps   = 256       // and opening a directory likewise
	globRun     = 256 << 10 // bytes of entries in hand at a level
)

// matches are the paths that fit an argument's pattern, in order.
type matches struct {
	entries []entry
	head    string // what is shown in front of path[cut:]
	cut     int
}

// glob finds what the pattern in an argument fits; nil if there is none in it.
// Only what the client typed can be a pattern: a working directory with a "*" in
// its name is a directory.
func (s *Server) glob(clean, shown string) (*matches, error) {
	if !glob.Meta(shown) {
		return nil, nil
	}
	words := strings.Split(clean[1:], "/")
	first := max(len(words)-trailing(shown), 0)
	for first < len(words) && !glob.Meta(words[first]) {
		first++
	}
	if first == len(words) || clean == "/" {
		return nil, nil
	}
	base := "/" + strings.Join(words[:first], "/")
	patterns, ok := glob.Expand(strings.Join(words[first:], "/"))
	if !ok {
		return nil, unix.E2BIG
	}
	m := &matches{cut: len(join(base, "")), head: shownHead(base, shown)}
	w := &globber{t: s.tree, hidden: &s.hidden, steps: globSteps, bytes: globBytes}
	for _, p := range patterns {
		start := len(w.found)
		parts, ok := parts(p)
		if !ok || len(parts) == 0 && m.head == "" { // nothing, as a shell has it
			continue
		}
		if err := w.walk(base, parts, 0); err != nil {
			return nil, err
		}
		slices.SortFunc(w.found[start:], func(a, b entry) int { return strings.Compare(a.name, b.name) })
	}
	m.entries = w.found
	return m, nil
}

// trailing is how many components of the cleaned path come from what was typed,
// as opposed to the working directory.
func trailing(shown string) int {
	n := 0
	for c := range strings.SplitSeq(shown, "/") {
		switch c {
		case "", ".":
		case "..":
			n = max(n-1, 0)
		default:
			n++
		}
	}
	return n
}

// shownHead is what stands for base in the lines: what was typed before the
// pattern, or base itself if ".." comes after it.
func shownHead(base, shown string) string {
	at := 0
	for c := range strings.SplitSeq(shown, "/") {
		if glob.Meta(c) {
			break
		}
		at += len(c) + 1
	}
	for c := range strings.SplitSeq(shown[at:], "/") {
		if c == ".." {
			return join(base, "")
		}
	}
	return shown[:at]
}

type globber struct {
	t      *tree
	hidden *hiding // or nil
	found  []entry
	steps  int // that may still be spent
	bytes  int
	bufs   [globLevels][]byte // for reading a directory at each level
}

// A part of a pattern is a name, or several ("a/b"), or a component that is a
// pattern. Two names never follow each other.
type part struct {
	name    string
	pattern *glob.Pattern
}

// parts compiles a pattern; ok is false where it can fit nothing, because a name
// in it is none.
func parts(pattern string) (out []part, ok bool) {
	var names []string
	flush := func() {
		if len(names) > 0 {
			out, names = append(out, part{name: strings.Join(names, "/")}), nil
		}
	}
	for word := range strings.SplitSeq(pattern, "/") {
		p := glob.Compile(word)
		name, literal := p.Literal()
		switch {
		case !literal:
			flush()
			out = append(out, part{pattern: p})
		case name == "": // a slash that braces left
		case name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
			return nil, false
		default:
			names = append(names, name)
		}
	}
	flush()
	return out, true
}

// spend takes steps from what is left.
func (w *globber) spend(steps int) bool {
	w.steps -= steps
	return w.steps >= 0
}

// walk finds what parts fit below dir.
func (w *globber) walk(dir string, parts []part, level int) error {
	if len(parts) > 0 && parts[0].pattern == nil {
		dir, parts = join(dir, parts[0].name), parts[1:]
	}
	if len(parts) > 0 {
		return w.match(dir, parts, level)
	}
	if !w.spend(lookSteps + len(dir)) {
		return unix.E2BIG
	}
	if st, err := w.t.stat(dir, false); err == nil {
		return w.add(dir, uint8(st.Mode&unix.S_IFMT>>12))
	}
	return nil
}

// match matches the entries of dir against the first of parts, which is a
// pattern.
func (w *globber) match(dir string, parts []part, level int) error {
	if level == globLevels || !w.spend(openSteps+len(dir)) {
		return unix.E2BIG
	}
	fd, _, err := w.t.readDir(dir, false)
	if err != nil {
		return nil // nothing there that fits
	}
	defer unix.Close(fd)
	if w.bufs[level] == nil {
		w.bufs[level] = make([]byte, direntBuffer)
	}
	r := dirReader{fd: fd, buf: w.bufs[level]}
	var run []entry
	for !r.eof {
		run, err = r.read(run[:0], globRun)
		if err != nil {
			break
		}
		for i := range run {
			ok, steps := parts[0].pattern.Match(run[i].name)
			if !w.spend(steps + readSteps) {
				return unix.E2BIG
			}
			if !ok || w.hidden != nil && w.hidden.covers(&run[i]) {
				continue
			}
			if len(parts) == 1 {
				err = w.add(join(dir, run[i].name), run[i].typ)
			} else if t := run[i].typ; t == unix.DT_DIR || t == unix.DT_LNK || t == unix.DT_UNKNOWN {
				err = w.walk(join(dir, run[i].name), parts[1:], level+1)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *globber) add(path string, typ uint8) error {
	if w.bytes -= len(path) + entryCost; w.bytes < 0 || len(w.found) == globMatches {
		return unix.E2BIG
	}
	w.found = append(w.found, entry{name: path, typ: typ})
	return nil
}

// useMatches makes the paths that a pattern fits the source: they are listed
// themselves, whatever they are, but for -R, which lists the directories among
// them.
func (l *listing) useMatches(m *matches) {
	l.cur = source{fd: -1, entries: m.entries, head: m.head, cut: m.cut}
	if l.o.order == byTime || l.o.order == bySize || l.o.reverse {
		l.sort(l.cur.entries)
	}
	if !l.o.recurse || l.o.self {
		return
	}
	files := l.cur.entries[:0]
	for _, e := range m.entries {
		if st, err := l.s.tree.stat(e.name, true); err == nil && isDir(&st) {
			l.descend(job{path: e.name, shown: l.cur.display(&e), header: true})
		} else {
			files = append(files, e)
		}
	}
	l.cur.entries = files
}
