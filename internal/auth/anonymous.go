package auth

import "fmt"

// enter decides about an anonymous login, which no password decides. Its
// refusals cost the hashes that every refusal costs.
func (a *Attempt) enter(secret []byte) {
	b := a.who.anonymous
	acct, what := a.h.identity(b.User)
	switch {
	case what == out:
		a.outage, a.closing = true, true
		a.conclude()
	case what == absent:
		a.misfit(fmt.Errorf("user %s is no account", b.User))
	case b.reject != nil && b.reject.Match(secret) != b.RejectNot:
		a.deny(ReasonRejected, acct.Source)
	default:
		a.admit(acct, acct)
		if a.res.Verdict == OK && !a.who.any {
			a.res.Email = string(secret)
		}
	}
}

// admit ends an attempt of an anonymous block: acct is the block's account,
// verified whose password was right.
func (a *Attempt) admit(acct, verified *Account) {
	b := a.who.anonymous
	acct, err := a.h.as(acct, b.Group)
	if err != nil {
		a.misfit(err)
		return
	}
	if reason := a.h.rules(acct, verified, b); reason != "" {
		a.deny(reason, acct.Source)
		return
	}
	a.res = Result{Verdict: OK, Account: acct, Source: acct.Source, Anonymous: b.ID}
	a.closing = true
}

// misfit refuses what the configuration got wrong.
func (a *Attempt) misfit(err error) {
	a.deny(ReasonIdentity, "")
	a.denial.Warning = fmt.Sprintf("anonymous logins of host %s: %v", a.h.Name, err)
	a.res = *a.denial
}
