package main

import (
	"fmt"
	"time"

	"sallyport/internal/delay"
	"sallyport/ipc"
)

// explainDelay answers an administrator's question what a wrong password of a
// user would be waited for, and why.
func (s *server) explainDelay(q *ipc.DelayExplain) {
	r := &ipc.DelayExplained{ID: q.ID}
	if h := s.hosts[q.Host]; h != nil {
		r.Known = true
		d := s.delayOf(h)
		row := s.delays.table.Pass(h.Name, q.Protocol, d.print)
		row.SetFloor(s.floor(d))
		r.Lines = append(h.Explain(q.User), explainRow(&d.policy, row)...)
	}
	for i := range r.Lines {
		r.Lines[i] = cut(r.Lines[i], 500)
	}
	_ = s.toMaster(r)
}

func explainRow(p *delay.Policy, row *delay.Row) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if !p.Engine {
		say("the delay engine is off: answers leave as soon as they are known")
		return lines
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
	if row.Floor > 0 {
		say("the hashes of an attempt were measured to take %s at least", ms(row.Floor))
	} else {
		say("the hashes of an attempt are being measured; until then they are taken for %s", ms(delay.ColdPass))
	}
	for _, x := range []struct {
		what string
		row  *delay.Row
	}{{"the sources' work", row}, {"what comes behind a right password", row.Start()}} {
		if x.row.Count < delay.Warm {
			say("%s: %d samples, %d are needed to be believed", x.what, x.row.Count, delay.Warm)
			continue
		}
		s := x.row.Sorted()
		say("%s: %d samples, half below %s, nine of ten below %s", x.what, len(s), ms(s[len(s)/2]), ms(s[len(s)*9/10]))
	}
	if p.Median {
		say("policy median: what took less than %s is topped up to that, plus at most half of what was missing", ms(row.Middle(row.Floor)))
	} else {
		d := min(row.Deadline, p.Cap)
		say("policy deadline: the answer leaves %s after the request, plus 0 to %s by chance; work beyond that waits for steps of %s",
			ms(d), ms(delay.Jitter), ms(delay.Overrun(d)))
	}
	for _, e := range []delay.Event{delay.EventUser, delay.EventPass, delay.EventFailed, delay.EventConnect} {
		if least, most := p.Span(e); most > 0 {
			say("on_event %s adds %s to %s", e, ms(least), ms(most))
		}
	}
	return lines
}
