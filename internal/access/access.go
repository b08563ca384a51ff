package access

import (
	"net/netip"

	"sallyport/internal/policy"
)

// Rules is a compiled policy. It is built once and then only read.
type Rules struct {
	p       *policy.Policy
	classes classes
	hosts   hosts
	choices map[*policy.Settings]*choices // of every host, class and anonymous block
}

// New compiles p, which must not change afterwards. What config refuses but p
// holds all the same (a regular expression that is none) fits nobody, and a root
// list with such an entry gives nobody a root.
func New(p *policy.Policy) *Rules {
	r := &Rules{p: p, classes: newClasses(p.Classes), hosts: newHosts(p.Hosts), choices: map[*policy.Settings]*choices{}}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		r.add(&h.Base)
		for j := range h.ByClass {
			r.add(&h.ByClass[j].Settings)
		}
	}
	return r
}

func (r *Rules) add(s *policy.Settings) {
	r.choices[s] = newChoices(s)
	for i := range s.Anonymous {
		a := &s.Anonymous[i].Settings
		r.choices[a] = newChoices(a)
	}
}

// Class returns the name of the first class that fits the client's address, or
// "".
func (r *Rules) Class(client netip.Addr) string {
	if i := r.classes.first(plain(client)); i >= 0 {
		return r.p.Classes[i].Name
	}
	return ""
}
