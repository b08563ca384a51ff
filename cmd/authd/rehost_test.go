package main

import (
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// TestRehostDoesNotBringAttemptsBack: a session that waits for its last verdict
// cannot have it forgotten and guess on at another host.
func TestRehostDoesNotBringAttemptsBack(t *testing.T) {
	for name, x := range map[string]struct {
		failed  uint32 // before
		secret  string
		outcome ipc.LoginOutcome
	}{
		"the last attempt":               {2, "wrong", ipc.LoginOutcome{}},
		"refused by master":              {0, "secret-alice", ipc.LoginOutcome{Reason: "a limit", Close: true}},
		"a refusal that may be repeated": {0, "wrong", ipc.LoginOutcome{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1, defaultLimits, delayed(policy.DelayEvent{Event: "FailedLogin", Min: int64(time.Hour), Max: int64(time.Hour)}))
			w.set(func() {
				w.outcome = func(r *ipc.LoginReport) *ipc.LoginOutcome { o := x.outcome; o.Session = r.Session; return &o }
			})
			c := w.attach(func(a *ipc.Attach) { a.Failed = x.failed })
			c.ask("alice", x.secret)
			if f := expect[ipc.LoginFailed](w); f.Failed != x.failed+1 { // and the verdict waits for an hour
				t.Errorf("%+v", f)
			}
			w.send(&ipc.Rehost{Session: c.id, Peer: "192.0.2.1:40000", Host: "main"})
			expect[ipc.Rehosted](w)
			c.gone()
		})
	}
}
