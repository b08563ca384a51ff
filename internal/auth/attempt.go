package auth

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/crypt"
	"sallyport/internal/userfile"
)

// Reasons of refusals, for the log. docs/AUTH.md explains them.
const (
	ReasonNoUser      = "no such user found"
	ReasonPassword    = "Incorrect password"
	ReasonTooLong     = "Incorrect password: longer than max_password_size"
	ReasonEmpty       = "Incorrect password: empty"
	ReasonExpired     = "Password expired"
	ReasonDisabled    = "Account disabled"
	ReasonCredentials = "Unavailable credentials"
	ReasonRoot        = "SECURITY VIOLATION: Root login attempted"
	ReasonFtpUsers    = "User in /etc/ftpusers"
	ReasonIdentity    = "Unknown authentication information"
	ReasonUnavailable = "Unavailable authentication service"
	ReasonBusy        = "Max authentication service attempts reached"
	ReasonAlias       = "Name is no alias"
	ReasonRejected    = "Password rejected by reject_passwords"
	ReasonCertificate = "Certificate does not name this account"
)

// StepKind says what an attempt needs next.
type StepKind uint8

// Steps of an attempt.
const (
	StepDone StepKind = iota // the result stands
	StepHash                 // does the secret give Setting?
	StepPam                  // what does the PAM stack say?
)

// Step is the next thing to do.
type Step struct {
	Kind    StepKind
	Setting string // StepHash; StepPam: of the decoy that a refusal is to cost, "" for none
	Decoy   bool   // StepHash whose result does not matter
	Account bool   // StepPam: the account phase alone, a certificate has said who it is
}

// Verdict of an attempt.
type Verdict uint8

// Verdicts.
const (
	Denied      Verdict = iota
	OK                  // Account says who
	Unavailable         // a source that had to be asked could not answer
)

// Result of an attempt.
type Result struct {
	Verdict Verdict
	Account *Account
	Reason  string // for the log, where not OK
	Source  string // who refused; of a success, who says who the user is
	Warning string // what the administrator should hear besides

	Anonymous uint32 // id of the anonymous block that let it in; 0: none
	Email     string // what an anonymous client gave as its password
}

// Request is what a client logs in with.
type Request struct {
	Name   string // as typed
	Secret []byte // is not kept

	// ByCertificate: no secret; Certificate is the account that a verified
	// certificate of the client names, "" for none.
	ByCertificate bool
	Certificate   string
}

// PamAnswer is what the PAM helper said.
type PamAnswer struct {
	OK, Declined bool
	Reason       string
	Known        bool     // Account is filled
	Paid         bool     // the step's decoy was computed
	Account      *Account // as NSS knows the user, after a success
}

// Attempt is one login attempt, as a machine without side effects: Next names a
// step, HashDone or PamDone takes its result, Fail and Busy end it. After
// StepDone, Result is final.
//
// An attempt that fails has cost one hash for each source that has hashes,
// whatever the reason (a decoy where there was nothing to compute); so the work
// does not tell an unknown name from a wrong password.
type Attempt struct {
	h     *Host
	who   who
	name  string // of the account whose password counts: who.name
	empty bool   // the secret
	cert  bool   // a certificate is in the secret's place

	at      int   // index of the source being asked
	hashed  []int // sources whose hash was computed
	piped   []int // PAM sources that were asked
	paid    []int // sources that got a decoy, or needed none
	current *Account
	bound   *Account // identity: from the first source that knows the name
	outage  bool
	asked   bool // a step is out
	closing bool // only decoys are left
	skip    bool // not even those
	uid0    bool // some source says that the name is uid 0
	res     Result
	denial  *Result // what closing ends with
}

// Begin starts an attempt.
func (h *Host) Begin(r Request) *Attempt {
	size := len(r.Secret)
	a := &Attempt{h: h, name: r.Name, empty: size == 0, cert: r.ByCertificate}
	if userfile.ValidName(r.Name) == nil {
		a.who = h.resolve(r.Name)
		a.name = a.who.name
	}
	free := a.who.anonymous != nil && !a.who.anonymous.RequirePassword
	switch {
	case a.cert:
		a.present(r)
	case size > int(h.Policy.MaxPasswordSize) && h.Policy.MaxPasswordSize > 0, size > crypt.MaxSecret:
		a.skip = true
		a.deny(ReasonTooLong, "")
	case a.empty && !h.Policy.AllowEmpty && !free:
		a.skip = true
		a.deny(ReasonEmpty, "")
	case a.who.name == "":
		a.deny(ReasonNoUser, "")
	case h.Policy.AliasOnly && !a.who.alias:
		a.deny(ReasonAlias, "")
	case free:
		a.enter(r.Secret)
	default:
		a.bind()
	}
	return a
}

// present starts an attempt by certificate. It names the account itself: no
// alias leads there, and to no anonymous block.
func (a *Attempt) present(r Request) {
	a.skip = true // who has such a certificate knows that the name exists
	switch {
	case r.Certificate == "" || r.Certificate != r.Name || a.who.name != r.Name || a.who.anonymous != nil:
		a.deny(ReasonCertificate, "")
	case a.h.Policy.AliasOnly:
		a.deny(ReasonAlias, "")
	default:
		a.bind()
	}
}

// Name is the account whose password the steps are about.
func (a *Attempt) Name() string { return a.name }

// bind looks the name up in every source before any password is looked at: the
// first that knows it says who the user is, and root is refused at once.
func (a *Attempt) bind() {
	for _, s := range a.h.sources {
		switch {
		case s.pam:
			if users, _ := get(a.h.store, a.h.libc.passwd); users.ByName(a.name) != nil && a.bound == nil {
				if u := users.ByName(a.name); u.UID == 0 {
					a.root(&Account{UID: u.UID, GID: u.GID, Source: s.name})
				}
			}
		case s.accounts != nil:
			acct, what := s.lookup(a.name, a.h.now())
			if what == absent || acct == nil {
				break
			}
			if a.bound == nil {
				a.bound = acct
			}
			a.root(acct)
		}
		if a.closing {
			return
		}
	}
}

// root refuses uid and gid 0 unless they are allowed.
func (a *Attempt) root(acct *Account) bool {
	a.uid0 = a.uid0 || acct.UID == 0
	if a.h.Policy.RootLogin || acct.UID != 0 && acct.GID != 0 {
		return false
	}
	a.deny(ReasonRoot, acct.Source)
	return true
}

// Next returns the next step. It is called again only after the step's result.
func (a *Attempt) Next() Step {
	for !a.closing && a.at < len(a.h.sources) {
		if step, ask := a.ask(&a.h.sources[a.at]); ask {
			a.asked = true
			return step
		}
	}
	if !a.closing {
		a.conclude()
		a.res = *a.denial
	}
	if !a.skip && a.denial != nil {
		if step, ask := a.nextDecoy(); ask {
			a.asked = true
			return step
		}
		a.res = *a.denial
	}
	return Step{}
}

// ask asks the source at hand; false: it has answered without a step.
func (a *Attempt) ask(s *source) (Step, bool) {
	if s.pam {
		return a.askPam(s)
	}
	if s.accounts == nil {
		a.no(s, "")
		return Step{}, false
	}
	acct, what := s.lookup(a.name, a.h.now())
	if acct != nil && !a.cert {
		acct = a.h.overridden(acct)
	}
	switch {
	case what == out:
		a.failed(s)
	case what == absent:
		a.no(s, "")
	case a.cert && strings.HasPrefix(acct.hash, "!"):
		a.no(s, ReasonDisabled)
	case a.cert && !a.h.usable(acct.hash) && a.pamFollows():
		a.no(s, ReasonCredentials) // the stack decides about this account
	case a.cert:
		a.yes(acct)
	case acct.hash == "" && a.empty && a.h.Policy.AllowEmpty:
		a.yes(acct)
	case acct.hash == "":
		a.no(s, ReasonCredentials)
	case acct.hash[0] == '!':
		a.no(s, ReasonDisabled)
	case !a.h.usable(acct.hash):
		a.no(s, ReasonCredentials)
	case a.empty:
		a.no(s, ReasonPassword)
	default:
		return a.compute(acct)
	}
	return Step{}, false
}

func (a *Attempt) compute(acct *Account) (Step, bool) {
	a.current = acct
	a.hashed = append(a.hashed, a.at)
	return Step{Kind: StepHash, Setting: acct.hash}, true
}

// askPam asks the stack, unless the configuration has a password for the
// account: then the stack's own no longer counts.
func (a *Attempt) askPam(s *source) (Step, bool) {
	if _, set := a.h.passwords[a.name]; !set || a.cert {
		a.piped = append(a.piped, a.at)
		return Step{Kind: StepPam, Account: a.cert, Setting: a.stackDecoy()}, true
	}
	acct, what := (&unixSource{store: a.h.store, sys: a.h.libc}).lookup(a.name, a.h.now())
	if what == absent || acct == nil {
		a.no(s, ReasonCredentials)
		return Step{}, false
	}
	acct = a.h.overridden(acct)
	acct.Source = s.name
	switch {
	case acct.hash[0] == '!':
		a.no(s, ReasonDisabled)
	case !a.h.usable(acct.hash):
		a.no(s, ReasonCredentials)
	case a.empty:
		a.no(s, ReasonPassword)
	default:
		return a.compute(acct)
	}
	return Step{}, false
}

// pamFollows tells whether a later source is pam.
func (a *Attempt) pamFollows() bool {
	at := &a.h.sources[a.at]
	return !at.final && slices.ContainsFunc(a.h.sources[a.at+1:], func(s source) bool { return s.pam })
}

// HashDone tells the result of a StepHash.
func (a *Attempt) HashDone(match bool) {
	if !a.take() || a.closing {
		return
	}
	if match {
		a.yes(a.current)
		return
	}
	a.no(&a.h.sources[a.at], ReasonPassword)
}

// PamDone tells the result of a StepPam.
func (a *Attempt) PamDone(p PamAnswer) {
	if !a.take() || a.closing {
		return
	}
	if p.Paid {
		a.paid = append(a.paid, a.at)
	}
	s := &a.h.sources[a.at]
	switch {
	case p.OK && p.Known && p.Account != nil:
		p.Account.Source = s.name
		a.yes(p.Account)
	case p.OK && a.bound != nil:
		a.yes(a.bound)
	case p.OK:
		a.no(s, ReasonIdentity)
	case p.Declined && a.res.Reason == ReasonCredentials: // the file says who, PAM should have said yes
		a.no(s, ReasonPassword)
	case p.Declined:
		a.no(s, "")
	default:
		a.no(s, p.Reason)
	}
}

// Refuse makes an attempt that has just begun one that fails, for a reason of the
// caller's, at the cost of every failure.
func (a *Attempt) Refuse(reason string) {
	if a.denial == nil {
		a.deny(reason, "")
	}
}

// Root tells whether the attempt is for an account with uid 0.
func (a *Attempt) Root() bool { return a.uid0 }

// Fail tells that the step could not be done: a worker died or its deadline
// passed.
func (a *Attempt) Fail() {
	if !a.take() || a.closing {
		return
	}
	a.failed(&a.h.sources[a.at])
}

// Busy ends the attempt without further work: too much waits from its network.
func (a *Attempt) Busy() {
	a.asked, a.skip = false, true
	if a.denial == nil {
		a.deny(ReasonBusy, "")
	}
	a.res = *a.denial
}

// Result returns the result once Next has returned StepDone.
func (a *Attempt) Result() Result { return a.res }

func (a *Attempt) take() bool {
	was := a.asked
	a.asked = false
	return was
}

// no is a source's refusal; reason is "" where it does not know the name.
func (a *Attempt) no(s *source, reason string) {
	if reason != "" {
		a.res.Reason, a.res.Source = reason, s.name
	}
	a.next(s)
}

// failed is a source's outage.
func (a *Attempt) failed(s *source) {
	a.outage = true
	a.next(s)
}

func (a *Attempt) next(s *source) {
	a.at++
	if s.final {
		a.at = len(a.h.sources)
	}
}

// yes is a right password. Who the user is says the first source that knows
// the name; two sources that disagree make no identity.
func (a *Attempt) yes(acct *Account) {
	verified := acct
	if a.bound != nil {
		if a.bound.UID != acct.UID {
			a.deny(ReasonIdentity, acct.Source)
			a.denial.Warning = fmt.Sprintf("user %s has uid %d in source %s and uid %d in source %s: refused, since it is unclear who that is",
				a.name, a.bound.UID, a.bound.Source, acct.UID, acct.Source)
			return
		}
		acct = a.bound
	}
	if b := a.who.anonymous; b != nil {
		if b.User != a.name {
			var what answer
			if acct, what = a.h.identity(b.User); what != found {
				a.misfit(fmt.Errorf("user %s is no account", b.User))
				return
			}
		}
		a.admit(acct, verified)
		return
	}
	if reason := a.h.rules(acct, verified, nil); reason != "" {
		a.deny(reason, acct.Source)
		return
	}
	a.res = Result{Verdict: OK, Account: acct, Source: acct.Source}
	a.closing = true
}

// rules refuse a right password: expiry, shell, ftpusers, low ids. In an
// anonymous block (b) the account is one that the configuration has chosen: it
// may be a system account, and expires only where its password counts.
func (h *Host) rules(acct, verified *Account, b *anonymous) string {
	p := &h.Policy
	for _, x := range []*Account{verified, acct} {
		if x.refusal != "" && (b == nil || b.RequirePassword && x == verified) {
			return x.refusal
		}
		if !p.RootLogin && (x.UID == 0 || x.GID == 0) {
			return ReasonRoot
		}
	}
	valid := p.RequireValidShell
	if b != nil {
		valid = b.RequireValidShell
	}
	if valid {
		shells, ok := get(h.store, h.sys.shells)
		if !ok || shells != nil && !shells[acct.Shell] {
			return fmt.Sprintf("Invalid shell: '%.64s'", acct.Shell)
		}
	}
	if p.UseFtpUsers {
		list, ok := get(h.store, h.sys.ftpusers)
		switch {
		case !ok:
			return ReasonUnavailable + ": ftpusers cannot be read"
		case list[acct.User]:
			return ReasonFtpUsers
		}
	}
	if b == nil && acct.Source != "file" && acct.UID < p.MinUID && !(acct.UID == 0 && p.RootLogin) {
		return fmt.Sprintf("uid %d is below min_uid", acct.UID)
	}
	if len(acct.Groups) > MaxGroups {
		return fmt.Sprintf("member of %d groups, at most %d are allowed", len(acct.Groups), MaxGroups)
	}
	return ""
}

func (a *Attempt) deny(reason, source string) {
	a.denial = &Result{Reason: reason, Source: source}
	a.res = *a.denial
	a.closing = true
}

// conclude decides when nobody said yes.
func (a *Attempt) conclude() {
	d := Result{Reason: a.res.Reason, Source: a.res.Source}
	switch {
	case a.outage:
		d = Result{Verdict: Unavailable, Reason: ReasonUnavailable}
	case d.Reason == "":
		d.Reason = ReasonNoUser
	}
	a.denial = &d
	a.closing = true
}
