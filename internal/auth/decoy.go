package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"sallyport/internal/crypt"
	"sallyport/internal/userfile"
)

// class is a setting without salt and hash: scheme and cost. Settings of one
// class cost the same.
func class(setting string) string {
	f := strings.Split(setting, "$") // "", scheme, ...
	if len(f) < 3 {
		return setting[:min(len(setting), 4)]
	}
	n := 2
	switch {
	case f[1] == "y", strings.HasPrefix(f[1], "2"): // one parameter, then salt
		n = 3
	case f[1] == "7": // parameters and salt are one field
		return "$7$" + f[2][:min(len(f[2]), 11)]
	case strings.HasPrefix(f[1], "pbkdf2"):
		n = 3
	default:
		for n < len(f)-1 && strings.Contains(f[n], "=") {
			n++
		}
	}
	return strings.Join(f[:min(n, len(f))], "$")
}

// byClass sorts settings by their class, in place, and returns the first of
// each. A new account then moves few of the names that are unknown to another
// class.
func byClass(list []string) (kinds []string) {
	slices.SortStableFunc(list, func(a, b string) int { return strings.Compare(class(a), class(b)) })
	last := ""
	for _, s := range list {
		if c := class(s); c != last {
			kinds, last = append(kinds, s), c
		}
	}
	return kinds
}

// decoy picks the hash that is computed, and ignored, for a name that a source
// does not know: one of its real ones, by a keyed hash of the name, so that
// unknown names cost what known ones do, in the same proportions, and always
// the same for one name. "" where the source has none.
func (h *Host) decoy(s accounts, name string) string {
	list, own := s.hashes(), h.names.hashes // own: the configuration's, of accounts in any source
	if len(list)+len(own) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(name))
	i, _ := bits.Mul64(binary.BigEndian.Uint64(mac.Sum(nil)), uint64(len(list)+len(own)))
	if i < uint64(len(list)) {
		return list[i]
	}
	return own[i-uint64(len(list))]
}

// SetKey sets the key that picks decoys, which otherwise is a new one: so that
// an unknown name costs the same after a restart.
func (h *Host) SetKey(key []byte) { h.key = slices.Clone(key) }

// stack is what a PAM source has to do with hashes: those of libc's shadow file,
// which common stacks compute for the names that have one.
func (h *Host) stack() accounts { return &h.shadow }

// nextDecoy pays for a source whose hash was not computed.
func (a *Attempt) nextDecoy() (Step, bool) {
	for i := range a.h.sources {
		s := &a.h.sources[i]
		if slices.Contains(a.hashed, i) || slices.Contains(a.paid, i) {
			continue
		}
		a.paid = append(a.paid, i)
		from := s.accounts
		if s.pam {
			if slices.Contains(a.piped, i) && a.h.computable(a.name) {
				continue // the stack has computed it
			}
			from = a.h.stack()
		}
		if from == nil || a.empty {
			continue
		}
		if d := a.h.decoy(from, a.name); d != "" {
			return Step{Kind: StepHash, Setting: d, Decoy: true}, true
		}
	}
	return Step{}, false
}

// stackDecoy is the hash that the helper of a PAM stack computes for a name for
// which the stack's modules compute none. It is computed there and not by a hash
// worker because modules compute theirs there: with a core busy a worker that had
// waited ended later than a new process (docs/TIMING.md).
func (a *Attempt) stackDecoy() string {
	if a.cert || a.empty || a.h.computable(a.name) {
		return ""
	}
	d := a.h.decoy(a.h.stack(), a.name)
	if slices.Contains(a.h.names.hashes, d) { // a password of the configuration: a worker's
		return ""
	}
	return d
}

// computable tells whether libc's shadow has a hash for name that a stack would
// compute.
func (h *Host) computable(name string) bool {
	acct, what := h.shadow.lookup(name, h.now())
	return what == found && crypt.Check(acct.hash, crypt.Options{Legacy: true}) == nil
}

// Whole tells whether the attempt has cost all that one can cost: each source's
// hash, or a decoy's, and each PAM stack. Only such attempts say how long logins
// take.
func (a *Attempt) Whole() bool {
	if a.outage || a.skip {
		return false
	}
	for i := range a.h.sources {
		s := &a.h.sources[i]
		switch {
		case s.pam && !slices.Contains(a.piped, i) && !slices.Contains(a.hashed, i):
			return false
		case s.accounts != nil && !slices.Contains(a.hashed, i) && !slices.Contains(a.paid, i) && len(s.hashes())+len(a.h.names.hashes) > 0:
			return false
		}
	}
	return true
}

// Kinds returns a hash of each class that each source has: what an attempt may
// cost. PAM sources have those of libc's shadow file.
func (h *Host) Kinds() (sources [][]string, pam int) {
	for i := range h.sources {
		s := &h.sources[i]
		from := s.accounts
		if s.pam {
			pam++
			from = h.stack()
		}
		if from != nil {
			sources = append(sources, slices.Concat(from.kinds(), h.names.hashes))
		}
	}
	return sources, pam
}

// Class names the class of a setting, for an administrator and as a key.
func Class(setting string) string { return class(setting) }

// Explain tells what an attempt with a wrong password for name costs, a sentence
// a source, for an administrator.
func (h *Host) Explain(name string) (lines []string) {
	if userfile.ValidName(name) != nil {
		lines = append(lines, "the name is none that an account can have: it is treated as unknown")
	}
	for i := range h.sources {
		s := &h.sources[i]
		from, what := s.accounts, "known, its hash is computed"
		if s.pam {
			from, what = h.stack(), "known, the stack computes its hash"
		}
		if from == nil {
			continue
		}
		acct, ans := from.lookup(name, h.now())
		setting := ""
		switch {
		case ans == out:
			lines = append(lines, fmt.Sprintf("source %s: cannot be asked", s.name))
			continue
		case ans == found && crypt.Check(acct.hash, crypt.Options{Legacy: h.Policy.LegacyHashes || s.pam}) == nil:
			setting = acct.hash
		case ans == found:
			what = "known without a hash to compute, a decoy is computed"
		default:
			what = "unknown, a decoy is computed"
		}
		if setting == "" {
			setting = h.decoy(from, name)
		}
		if setting == "" {
			what, setting = "no account has a hash, none is computed", "none"
		}
		lines = append(lines, fmt.Sprintf("source %s: %s (%s)", s.name, what, class(setting)))
	}
	return lines
}
