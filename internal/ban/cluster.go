package ban

import "fmt"

// Several daemons may count the events of a rule together, in a store. What they
// count has a name that is the same in each of them.

// Counted is what an event counts towards.
type Counted struct {
	Rule    string // the same for daemons with the same rule
	Source  string
	Seconds uint32 // of the rule's window

	event Event
	rule  *rule
	src   source
	key   Key
}

// Counted tells what an event counts towards; Event counts it here.
func (e *Engine) Counted(ev Event) []Counted {
	ev.Addr = ev.Addr.Unmap().WithZone("")
	if e.spared(ev.Addr, ev.Class) || !fits(ev.Name, ev.Seen) || !ev.Addr.IsValid() {
		return nil
	}
	var out []Counted
	for _, r := range e.rules[ev.Name] {
		src, key, ok := e.source(r, &ev)
		if !ok {
			continue
		}
		out = append(out, Counted{
			Rule:    fmt.Sprintf("%s/%d/%d", r.Event, r.Count, r.Window/1e9),
			Source:  fmt.Sprintf("%s %s %s", KindNames[key.Kind], key, key.Server),
			Seconds: uint32(max(r.Window/1e9, 1)), event: ev, rule: r, src: src, key: key,
		})
	}
	return out
}

// Reached takes the count of all daemons together. It bans where that is enough
// and the rule is still in force.
func (e *Engine) Reached(c Counted, count uint32, now int64) Outcome {
	var out Outcome
	for _, r := range e.rules[c.event.Name] {
		if r.index == c.rule.index && r.BanRule == c.rule.BanRule && count >= r.Count {
			e.reached(r, c.src, c.key, count, &c.event, now, &out)
		}
	}
	return out
}
