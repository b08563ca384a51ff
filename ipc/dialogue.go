package ipc

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"unsafe"
)

// Limits of a message. A peer that exceeds one of them breaks the protocol.
const (
	MaxMessage  = 64 << 10 // bytes of a datagram
	MaxFDs      = 4        // descriptors of a datagram
	MaxDepth    = 8        // nesting of arrays
	MaxElements = 4096     // elements of one array
)

// Role names the process at an end of a channel.
type Role uint8

// The processes of DESIGN §1.
const (
	Master Role = iota + 1
	Authd
	Session
	Files
	Hash
	Pam
	Netd
	Owner
	Certificate
)

var roleNames = [...]string{"?", "master", "authd", "session", "files", "hash", "pam", "netd", "owner", "certificate"}

// String returns the process's name as the logs show it.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "?"
}

// Kind is a message's number in its dialogue, 1 to 127.
type Kind uint8

// State is a set of dialogue states, one bit each. A channel is in exactly one.
type State uint16

// AnyState allows a message in every state.
const AnyState State = 0xffff

// Row allows one message.
type Row struct {
	Kind  Kind
	From  Role  // who may send it
	In    State // in which states of the channel
	FDs   int   // how many descriptors come with it, exactly; see MayFD
	Body  any   // the zero value of its struct
	MayFD bool  // the descriptors may also be absent (an answer that refuses)
}

// Dialogue is the closed table of a channel.
type Dialogue struct {
	Name    string
	Version uint16   // 1 to 127; a change of any row or struct is a new one
	States  []string // names of the state bits, for logs and TRUST.md
	Rows    []Row

	once   sync.Once
	byKind [128]*row
	types  []unsafe.Pointer // of each struct and of the pointer to it
	byType []*row           // half as many
}

type row struct {
	Row
	typ   reflect.Type
	once  sync.Once
	built *shape
}

// shape returns what the codec knows of the message. It is computed at the
// first use: a process that lives for one login uses few messages.
func (r *row) shape() *shape {
	r.once.Do(func() { r.built = shapeOf(r.typ) })
	return r.built
}

// newDialogue declares a table; it is checked and indexed at its first use.
func newDialogue(d *Dialogue) *Dialogue { return d }

// ready checks the table and makes it ready. It panics on a table that is
// wrong, which is a mistake of the programmer seen by every test.
func (d *Dialogue) ready() *Dialogue {
	d.once.Do(d.index)
	return d
}

func (d *Dialogue) index() {
	if d.Version < 1 || d.Version > 127 || len(d.States) < 1 || len(d.States) > 15 {
		panic(fmt.Sprintf("ipc: %s: no version, or no states", d.Name))
	}
	known := State(1)<<len(d.States) - 1
	for _, r := range d.Rows {
		t := reflect.TypeOf(r.Body)
		switch {
		case r.Kind == 0 || r.Kind > 127 || d.byKind[r.Kind] != nil:
			panic(fmt.Sprintf("ipc: %s: kind %d is taken or out of range", d.Name, r.Kind))
		case t.Kind() != reflect.Struct || slices.Contains(d.types, wordsOf(r.Body).typ):
			panic(fmt.Sprintf("ipc: %s: %s is no struct or occurs twice", d.Name, t))
		case r.From == 0 || int(r.From) >= len(roleNames):
			panic(fmt.Sprintf("ipc: %s: nobody sends %s", d.Name, t))
		case r.In == 0 || r.In != AnyState && r.In&^known != 0:
			panic(fmt.Sprintf("ipc: %s: %s in a state that has no name", d.Name, t))
		case r.FDs < 0 || r.FDs > MaxFDs || r.MayFD && r.FDs == 0:
			panic(fmt.Sprintf("ipc: %s: descriptors of %s", d.Name, t))
		}
		x := &row{Row: r, typ: t}
		d.byKind[r.Kind] = x
		d.byType = append(d.byType, x)
		d.types = append(d.types, wordsOf(r.Body).typ, wordsOf(reflect.Zero(reflect.PointerTo(t)).Interface()).typ)
	}
}

// passes tells whether any message to me brings descriptors.
func (d *Dialogue) passes(me Role) bool {
	for _, r := range d.Rows {
		if r.From != me && r.FDs > 0 {
			return true
		}
	}
	return false
}

// RowOf returns the row of a message, for documentation and tests.
func (d *Dialogue) RowOf(body any) (Row, bool) {
	r, _ := d.rowOf(body)
	if r == nil {
		return Row{}, false
	}
	return r.Row, true
}

// ProtocolError says how a peer broke its dialogue. The peer is to be ended.
type ProtocolError struct {
	Dialogue string
	Kind     Kind   // 0 where the datagram was not readable that far
	What     string // why
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("ipc %s: message %d: %s", e.Dialogue, e.Kind, e.What)
}
