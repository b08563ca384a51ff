package config

import (
	"slices"
	"strings"
)

// group is a part of the reference: a block, or the top level, with its keys.
type group struct {
	block *Block // nil: names that stand in no block
	keys  []*Key
}

// reference orders the table for the manual: the names without a block first.
func reference() []group {
	t := grammar()
	out := []group{{}}
	for _, b := range t.blocks {
		if b.Later == "" {
			out = append(out, group{block: b})
		}
	}
	for _, k := range t.keys {
		if k.Later != "" {
			continue
		}
		parent := ""
		if i := strings.LastIndexByte(k.Path, '.'); i >= 0 {
			parent = k.Path[:i]
		}
		i := slices.IndexFunc(out, func(g group) bool {
			return g.block == nil && parent == "" || g.block != nil && g.block.Path == parent
		})
		out[i].keys = append(out[i].keys, k)
	}
	return out
}

// title heads a group: `max`, `listener "NAME"`, `control { acl`.
func (g group) title() string {
	if g.block == nil {
		return "Names outside of blocks"
	}
	return strings.Join(strings.Split(g.block.Path, "."), " > ") + labelOf(g.block)
}

func labelOf(b *Block) string {
	if b.Label == "" {
		return ""
	}
	return ` "` + b.Label + `"`
}

// contexts says where a key stands, for the manual.
func (k *Key) contexts(t *table) string {
	if k.In != own {
		return k.In.String()
	}
	for _, b := range t.blocks {
		if rest, ok := strings.CutPrefix(k.Path, b.Path+"."); ok && b.Section && !strings.Contains(rest, ".") {
			return b.name() + " (" + b.In.String() + ")"
		}
	}
	return ""
}

// defaultText is the default as the manual shows it.
func (k *Key) defaultText() string {
	switch {
	case k.Required:
		return "none; it must be given"
	case k.Derived != "":
		return k.Derived
	case k.Default != "":
		return k.Default
	}
	return "none"
}

// typeText is the type with its unit.
func (k *Key) typeText() string {
	if k.Type.Unit == "" {
		return k.Type.Name
	}
	return k.Type.Name + " (" + k.Type.Unit + ")"
}

// notes are the facts of a key that not every key has.
func (k *Key) notes() []string {
	var out []string
	if k.Also != "" {
		parts := strings.Split(k.Also, ".")
		out = append(out, "It may also be written "+strings.Join(parts[:len(parts)-1], " { ")+" { "+parts[len(parts)-1]+" = ..."+strings.Repeat(" }", len(parts)-1)+".")
	}
	if k.Restart {
		out = append(out, "It changes at a restart only: a reload that would change it is refused.")
	}
	return out
}

// featureNames lists what is not built yet, each feature with its words.
func featureNames() (features []string, words map[string][]string) {
	words = map[string][]string{}
	add := func(feature, path string) {
		if words[feature] == nil {
			features = append(features, feature)
		}
		words[feature] = append(words[feature], path)
	}
	for _, b := range grammar().blocks {
		if b.Later != "" {
			add(b.Later, b.Path)
		}
	}
	for _, k := range grammar().keys {
		if k.Later != "" {
			add(k.Later, k.Path)
		}
	}
	slices.Sort(features)
	for _, w := range words {
		slices.Sort(w)
	}
	return features, words
}

// general is what holds for the file as a whole: one paragraph each.
var general = []struct{ head, text string }{
	{"Form", "The file is written in HCL: a name with a value, name = value, or a block, name { ... }. A block on one line holds one value. " +
		"Comments start with # or // or stand between /* and */. Values are written out: there are no variables, functions or templates; " +
		"the characters ${ and %{ are written $${ and %%{. An empty file serves the users of the system on port 21."},
	{"Values", "Texts, times, sizes, rates, modes, ranges and addresses stand in quotes: times \"90s\" \"10m\" \"1h30m\" \"7d\", sizes \"512KiB\" \"2GiB\" " +
		"(a bare number counts bytes), rates \"20/1s\", modes \"027\", ranges \"49152-51151\", networks \"10.0.0.0/8\"."},
	{"Contexts", "What stands at the top level holds for every virtual_host, which may set it anew. A when block changes settings for the sessions it selects. " +
		"Later in this list wins: the default, the top level, the virtual_host, the when blocks of the top level, the when blocks of the virtual_host, an anonymous block. " +
		"A block of plain values (max, timeout, auth, ...) changes the values it names and leaves the others; it may be written more than once, but each value once."},
	{"Selectors", "A selector is a list of items, some perhaps with \"!\". With match = \"any\" (the default) it fits if one plain item fits and no item with \"!\" does; " +
		"with \"all\" every plain item must fit, and none with \"!\"; with \"regex\" the items are regular expressions. \"*\" is every name. " +
		"Where a block has several lists, their items count as one. Where blocks of one kind repeat, the first that fits decides."},
	{"Lists", "Blocks of one kind make a list. Where the first that fits decides, those of a virtual_host or an anonymous block replace what is inherited, " +
		"and those of a when come before it. Where each block has a label of its own and all hold, a block replaces the inherited one of the same label."},
	{"Errors", "All errors of a file are told at once, each with its line, the value and what would be right. An unknown name is an error. " +
		"So is a word of a feature that is not built yet; the message says so. A reload with an error changes nothing."},
}
