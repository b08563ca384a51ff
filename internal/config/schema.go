package config

import (
	"strings"

	"sallyport/internal/policy"
)

// Context says where in the file a key or block may stand.
type Context uint8

// The contexts. A block that is written in a context (max, auth.file ...) is
// part of it.
const (
	Top  Context = 1 << iota // the top level of the file
	Host                     // virtual_host
	When                     // when
	Anon                     // anonymous
	own                      // a section's own keys: listener.address, when.class
)

// Where settings may stand: those of every session, those that are of use before
// the login or without regard to anonymous logins, those of a host alone.
const (
	sessions = Top | Host | When | Anon
	anywhere = Top | Host | When
	perHost  = Top | Host
)

// String lists the contexts as the manual names them.
func (c Context) String() string {
	var s []string
	for _, n := range []struct {
		bit  Context
		name string
	}{{Top, "top level"}, {Host, "virtual_host"}, {When, "when"}, {Anon, "anonymous"}} {
		if c&n.bit != 0 {
			s = append(s, n.name)
		}
	}
	return strings.Join(s, ", ")
}

// Key is one row of the grammar: a name that takes a value.
type Key struct {
	Path      string // "max.login_attempts": the blocks it stands in and its name
	Type      *Type
	In        Context // of its outermost block
	Default   string  // as HCL; "" where there is none or it is derived
	Derived   string  // how the default comes about, in words
	Required  bool    // its section makes no sense without
	Restart   bool    // only a restart changes it
	Secret    bool    // its value is shown in no log
	Later     string  // the feature it belongs to, which is not built yet
	Also      string  // a second place where it may be written
	Directive string  // the reference's directive
	Example   string  // a value other than the default, as HCL
	Doc       string  // one line
	More      string  // the rest of its documentation

	at func(*scope) any // where the value goes: a pointer for Type.read
}

// Block is one row of the grammar: a name that takes a body.
type Block struct {
	Path      string
	Label     string // what its label is: "NAME"; "" for none
	In        Context
	Section   bool    // it may repeat and is a thing of its own
	Settings  Context // the settings of this context may stand in it
	Implies   string  // a switch that is on where the block is written and does not set it
	Later     string
	Directive string
	Doc       string
	More      string

	LabelType *Type            // how the label is read, where it is a value
	labelAt   func(*scope) any // where it goes
}

func (k *Key) name() string   { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }
func (b *Block) name() string { return b.Path[strings.LastIndexByte(b.Path, '.')+1:] }

// written shows how a key is written from the top of its context:
// `max { login_attempts = ... }`.
func (k *Key) written() string {
	parts := strings.Split(k.Path, ".")
	s := strings.Join(parts[:len(parts)-1], " { ")
	if s != "" {
		s += " { "
	}
	return s + k.name() + " = ..." + strings.Repeat(" }", len(parts)-1)
}

func (b *Block) written() string {
	parts := strings.Split(b.Path, ".")
	if b.Label != "" {
		parts[len(parts)-1] += ` "` + b.Label + `"`
	}
	return strings.Join(parts, " { ") + " { ... }" + strings.Repeat(" }", len(parts)-1)
}

// scope is what the value of a key may be written into. Only the parts of the
// section that is being read are set.
type scope struct {
	g *policy.Global
	s *policy.Settings
	l *policy.Listener
	c *policy.Class
	h *policy.Host
	r *policy.ControlRule
	o *policy.Root
	w *policy.Selector
	a *anonymous
	b *policy.Ban

	// entries of lists
	start  *policy.Choice
	size   *policy.SizeFor
	rate   *policy.RateFor
	time   *policy.TimeoutFor
	count  *policy.TransferLimit
	log    *policy.ExtendedLog
	alias  *policy.Alias
	pass   *string // "name:hash"
	event  *policy.DelayEvent
	cert   *policy.Certificate
	mapped *policy.CertificateUser
	format *logFormat
	rule   *policy.BanRule
	share  *policy.BanShare
}

// newScope returns a scope with everything in it, to try values on.
func newScope() *scope {
	return &scope{
		new(policy.Global), new(policy.Settings), new(policy.Listener), new(policy.Class),
		new(policy.Host), new(policy.ControlRule), new(policy.Root), new(policy.Selector), new(anonymous), new(policy.Ban),
		new(policy.Choice), new(policy.SizeFor), new(policy.RateFor), new(policy.TimeoutFor), new(policy.TransferLimit),
		new(policy.ExtendedLog), new(policy.Alias), new(string), new(policy.DelayEvent), new(policy.Certificate),
		new(policy.CertificateUser), new(logFormat), new(policy.BanRule), new(policy.BanShare),
	}
}

// logFormat is a log.format block, which logs name.
type logFormat struct{ name, text string }

// anonymous is an anonymous block, of which policy keeps one part for authd and
// one for master.
type anonymous struct {
	path    string // "none": no anonymous logins
	user    string
	group   string
	aliases []string
	only    bool // alias_only
	require bool
	using   bool
	reject  rejection
	userDir bool
}

// rejection is reject_passwords: a regular expression, perhaps negated.
type rejection struct {
	pattern string
	not     bool
}

// table is the grammar with its indexes.
type table struct {
	keys    []*Key
	blocks  []*Block
	byKey   map[string]*Key // with the second places
	byBlock map[string]*Block
}

// newTable indexes the rows. It panics on a path that occurs twice, a mistake of
// the programmer that every test sees.
func newTable(blocks []*Block, keys []*Key) *table {
	t := &table{keys: keys, blocks: blocks, byKey: map[string]*Key{}, byBlock: map[string]*Block{}}
	for _, k := range keys {
		for _, p := range []string{k.Path, k.Also} {
			if p == "" {
				continue
			}
			if t.byKey[p] != nil {
				panic("config: " + p + " is in the table twice")
			}
			t.byKey[p] = k
		}
	}
	for _, b := range blocks {
		if t.byBlock[b.Path] != nil {
			panic("config: block " + b.Path + " is in the table twice")
		}
		t.byBlock[b.Path] = b
	}
	return t
}

// allowed says whether a key or block may stand in ctx.
func (t *table) allowed(path string, ctx Context) bool {
	if k := t.byKey[path]; k != nil && k.In&ctx != 0 {
		return true
	}
	b := t.byBlock[path]
	return b != nil && b.In&ctx != 0
}
