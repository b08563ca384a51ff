package server

import "sallyport/ipc"

// options is what the letters of LIST and NLST say. Unknown letters are
// ignored, of contradicting ones the last counts.
type options struct {
	long     bool // ls -l lines; otherwise names
	one      bool // -1: NLST without the directory's name in front
	all      bool // -a: names with a dot, "." and ".." too
	almost   bool // -A: names with a dot
	self     bool // -d: a directory itself, not its entries
	classify bool // -F: a mark behind the name
	numeric  bool // -n
	human    bool // -h
	deref    bool // -L: what links point to
	recurse  bool // -R, LIST only
	reverse  bool // -r
	order    order
	time     byte // 'm' modification, 'c' change, 'u' access
}

type order uint8

const (
	byName order = iota
	byTime
	bySize
	byNothing
)

// parseOptions reads the letters of a listing of the given form. Letters that
// change the form of a line say nothing to NLST.
func parseOptions(letters string, form uint8) options {
	o := options{long: form == ipc.FormList, time: 'm'}
	for i := 0; i < len(letters); i++ {
		list := form == ipc.FormList
		switch letters[i] {
		case '1':
			o.one, o.long = true, false
		case 'C':
			o.long = o.long && !list
		case 'l':
			if list {
				o.long, o.one = true, false
			}
		case 'n':
			o.numeric = list
		case 'F':
			o.classify = list
		case 'h':
			o.human = list
		case 'R':
			o.recurse = list
		case 'A':
			o.almost = true
		case 'a':
			o.all = true
		case 'd':
			o.self = true
		case 'L':
			o.deref = true
		case 'r':
			o.reverse = true
		case 't':
			o.order = byTime
		case 'S':
			o.order = bySize
		case 'U':
			o.order = byNothing
		case 'c', 'u':
			o.time = letters[i]
		}
	}
	return o
}
