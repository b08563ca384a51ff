package ban

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
)

// The list on disk: lines, each a checksum (CRC-32C, eight hexadecimal digits), a
// blank and a JSON object. A snapshot is such a file that begins with a header
// and ends with a trailer; the journal is one that changes are appended to. Both
// are read by Replay.

// record is a line.
type record struct {
	Format int     `json:"format,omitempty"` // header
	End    *int    `json:"end,omitempty"`    // trailer: how many bans there are
	Ban    *stored `json:"ban,omitempty"`
	Lift   *stored `json:"lift,omitempty"`
}

// stored is a ban on disk.
type stored struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Server  string `json:"server,omitempty"`
	Created int64  `json:"created,omitempty"`
	Expires int64  `json:"expires,omitempty"` // 0: never
	Origin  string `json:"origin,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Event   string `json:"event,omitempty"`
	Count   uint32 `json:"count,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Node    string `json:"node,omitempty"`
	Times   uint32 `json:"times,omitempty"`
}

const (
	format  = 1
	maxLine = 8 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func line(r record) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("ban: a record that cannot be written: " + err.Error()) // plain fields only
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(b, castagnoli), b)
}

func store(b *Ban) *stored {
	s := &stored{
		KindNames[b.Kind], b.Key.String(), b.Server, b.Created, b.Expires, b.Origin, b.Reason, b.Message, b.Event, b.Count, b.Rule, b.Node, b.Times,
	}
	if b.Expires == Forever {
		s.Expires = 0
	}
	return s
}

// key reads what a line names.
func (s *stored) key() (Key, error) {
	kind, ok := KindOf(s.Kind)
	if !ok {
		return Key{}, fmt.Errorf("unknown kind %q", s.Kind)
	}
	return NameKey(kind, s.Name, s.Server)
}

func (s *stored) ban() (*Ban, error) {
	k, err := s.key()
	if err != nil {
		return nil, err
	}
	b := &Ban{k, s.Created, s.Expires, s.Origin, s.Reason, s.Message, s.Event, s.Count, s.Rule, s.Node, s.Times}
	if b.Expires == 0 {
		b.Expires = Forever
	}
	return b, nil
}

// AddLine is the journal's line of a new ban.
func AddLine(b *Ban) []byte { return line(record{Ban: store(b)}) }

// LiftLine is the journal's line of a ban that was lifted or gave way.
func LiftLine(k Key) []byte {
	return line(record{Lift: &stored{Kind: KindNames[k.Kind], Name: k.String(), Server: k.Server}})
}

// Snapshot writes the whole list.
func Snapshot(w io.Writer, bans []*Ban) error {
	out := bufio.NewWriter(w)
	_, _ = out.Write(line(record{Format: format}))
	for _, b := range bans {
		_, _ = out.Write(AddLine(b))
	}
	n := len(bans)
	_, _ = out.Write(line(record{End: &n}))
	return out.Flush() // it remembers the first error
}

// Replayed is what reading a file has come to.
type Replayed struct {
	Bans    map[Key]*Ban
	Lines   int
	Damaged int    // line number of the first that cannot be used, 0: none
	Why     string // what is wrong with it
	Whole   bool   // a snapshot with its trailer
}

// Replay reads a snapshot or a journal over what is in bans (nil: nothing). A
// damaged line does not cost the others: it is counted, and reading goes on. An
// error is one of reading alone.
func Replay(r io.Reader, bans map[Key]*Ban) (Replayed, error) {
	if bans == nil {
		bans = map[Key]*Ban{}
	}
	out := Replayed{Bans: bans}
	in := bufio.NewReaderSize(r, maxLine)
	for {
		b, err := in.ReadSlice('\n')
		if err == io.EOF && len(b) == 0 {
			return out, nil
		}
		out.Lines++
		switch {
		case err == bufio.ErrBufferFull:
			out.damage("longer than any line")
			if _, err := in.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull && err != io.EOF {
				return out, err
			}
			continue
		case err == io.EOF:
			_ = out.take(b) // but for its end it may be whole
			out.damage("not written to its end")
			return out, nil
		case err != nil:
			return out, err
		}
		if err := out.take(bytes.TrimSuffix(b, []byte("\n"))); err != nil {
			out.damage(err.Error())
		}
	}
}

func (o *Replayed) damage(why string) {
	if o.Damaged == 0 {
		o.Damaged, o.Why = o.Lines, why
	}
}

func (o *Replayed) take(b []byte) error {
	sum, body, ok := bytes.Cut(b, []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || len(sum) != 8 || err != nil || uint32(want) != crc32.Checksum(body, castagnoli) {
		return fmt.Errorf("the checksum does not fit")
	}
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	switch {
	case r.Ban != nil:
		x, err := r.Ban.ban()
		if err != nil {
			return err
		}
		o.Bans[x.Key] = x
	case r.Lift != nil:
		k, err := r.Lift.key()
		if err != nil {
			return err
		}
		delete(o.Bans, k)
	case r.End != nil:
		if o.Whole = *r.End == len(o.Bans); !o.Whole {
			return fmt.Errorf("%d bans were written, %d are there", *r.End, len(o.Bans))
		}
	case r.Format != format:
		return fmt.Errorf("format %d, this daemon reads %d", r.Format, format)
	}
	return nil
}
