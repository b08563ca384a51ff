package server

import (
	"sallyport/ipc"
)

// Lookup asks for the names of ids; see [ipc.NamesRequest]. An error ends the
// use of the channel: ids are numbers from then on.
type Lookup func(ipc.NamesRequest) (*ipc.NamesReply, error)

// maxNames bounds the cache, for users and groups each. Full means empty again.
const maxNames = 1024

// names remembers the names of ids. An id without a name maps to "".
type names struct {
	lookup Lookup
	users  map[uint32]string
	groups map[uint32]string
}

func newNames(l Lookup) *names { return &names{lookup: l} }

// load makes the names of up to window rows known, in one request. wantUsers
// and wantGroups collect ids; duplicates are fine.
func (n *names) load(uids, gids []uint32) {
	if n.lookup == nil {
		return
	}
	if n.users == nil || len(n.users)+len(uids) > maxNames {
		n.users = make(map[uint32]string)
	}
	if n.groups == nil || len(n.groups)+len(gids) > maxNames {
		n.groups = make(map[uint32]string)
	}
	req := ipc.NamesRequest{UIDs: unknown(n.users, uids), GIDs: unknown(n.groups, gids)}
	if len(req.UIDs) == 0 && len(req.GIDs) == 0 {
		return
	}
	r, err := n.lookup(req)
	if err != nil || len(r.Users) != len(req.UIDs) || len(r.Groups) != len(req.GIDs) {
		n.lookup = nil
		return
	}
	for i, id := range req.UIDs {
		n.users[id] = oneWord(r.Users[i])
	}
	for i, id := range req.GIDs {
		n.groups[id] = oneWord(r.Groups[i])
	}
}

// unknown returns the ids that known has not, each once, and enters them
// without a name.
func unknown(known map[uint32]string, ids []uint32) []uint32 {
	var out []uint32
	for _, id := range ids {
		if _, ok := known[id]; !ok {
			known[id] = ""
			out = append(out, id)
		}
	}
	return out
}

// oneWord makes a name fit to stand in a column of a line.
func oneWord(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		clean = clean && s[i] > ' ' && s[i] != 0x7f && s[i] != ';'
	}
	if clean {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case c == ' ' || c == '\t' || c == ';':
			b[i] = '_'
		case c < ' ' || c == 0x7f:
			b[i] = '?'
		}
	}
	return string(b)
}
