// Package crypt computes and checks password hashes in the string forms that
// crypt(3), passlib and the argon2 reference tools write.
//
// The stored setting chooses scheme and cost, never the client. Every cost is
// bounded before any work is done (see the Max constants), so that a setting
// that somebody slipped into a users file cannot stop the server. An unknown
// prefix is an error and never compared as text. Comparisons are constant-time.
//
// It is used by authd (Check), by its hash workers (Verify), and by the editor
// of users files (Hash).
package crypt

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// Bounds of what a stored setting may ask for.
const (
	MaxSetting    = 512       // bytes of a setting
	MaxSecret     = 4096      // bytes of a password
	MaxMemory     = 256 << 20 // bytes of one computation
	MaxRounds     = 2_000_000 // rounds of sha512 and sha256
	MaxIterations = 5_000_000 // iterations of pbkdf2
	MaxBcryptCost = 16        // log2
	MaxPasses     = 64        // t of argon2id
	MaxLanes      = 16        // p of argon2id and scrypt
	maxWork       = 2 << 30   // bytes written in all by argon2id, yescrypt and scrypt
)

// Errors of a setting. Which one it is is for the administrator's log; the
// client sees an ordinary refusal.
var (
	ErrLocked  = errors.New("locked or empty")
	ErrUnknown = errors.New("unknown scheme")
	ErrCost    = errors.New("cost beyond the bounds")
	ErrFormat  = errors.New("malformed")
	ErrLegacy  = errors.New("md5-crypt is too weak; set the password anew, or allow legacy hashes")
)

// Options of Check and Verify.
type Options struct {
	Legacy bool // accept md5-crypt ($1$)
}

// verifier is a parsed setting: it computes the hash of a secret and compares.
type verifier func(secret []byte) (bool, error)

type scheme struct {
	prefix string
	name   string
	parse  func(setting string) (verifier, error)
}

// schemes is the closed list of what is accepted.
var schemes = []scheme{
	{"$y$", "yescrypt", parseYescrypt},
	{"$gy$", "gost-yescrypt", refuse("gost-yescrypt")},
	{"$argon2id$", "argon2id", parseArgon2id},
	{"$6$", "sha512", parseSHA512},
	{"$5$", "sha256", parseSHA256},
	{"$2b$", "bcrypt", parseBcrypt},
	{"$2y$", "bcrypt", parseBcrypt},
	{"$2a$", "bcrypt", parseBcrypt},
	{"$scrypt$", "scrypt", parseScrypt},
	{"$7$", "scrypt", parseScrypt7},
	{"$pbkdf2-sha256$", "pbkdf2", parsePBKDF2},
	{"$pbkdf2-sha512$", "pbkdf2", parsePBKDF2},
	{"$1$", "md5", parseMD5},
}

func find(setting string) *scheme {
	for i := range schemes {
		if strings.HasPrefix(setting, schemes[i].prefix) {
			return &schemes[i]
		}
	}
	return nil
}

// Scheme names the scheme of a setting, "" where it is unknown.
func Scheme(setting string) string {
	if s := find(setting); s != nil {
		return s.name
	}
	return ""
}

// Locked tells whether no password can ever match: "", "x", and whatever begins
// with "!" or "*".
func Locked(setting string) bool {
	return setting == "" || setting == "x" || setting[0] == '!' || setting[0] == '*'
}

// Check says whether Verify would compute with this setting: nil, ErrLocked,
// ErrUnknown, ErrFormat, ErrCost or ErrLegacy, wrapped with the scheme. It costs
// nothing.
func Check(setting string, o Options) error {
	_, err := parse(setting, o)
	return err
}

func parse(setting string, o Options) (verifier, error) {
	if Locked(setting) {
		return nil, ErrLocked
	}
	if len(setting) > MaxSetting || strings.ContainsAny(setting, "\x00\n:") {
		return nil, ErrFormat
	}
	s := find(setting)
	if s == nil {
		return nil, ErrUnknown
	}
	if s.name == "md5" && !o.Legacy {
		return nil, ErrLegacy
	}
	v, err := s.parse(setting)
	if err != nil {
		return nil, fmt.Errorf("%s hash: %w", s.name, err)
	}
	return v, nil
}

// Verify tells whether secret gives the stored setting. An error is one of
// Check's; then nothing was computed and nothing matches. An empty secret
// never matches.
func Verify(setting string, secret []byte, o Options) (bool, error) {
	v, err := parse(setting, o)
	if err != nil {
		return false, err
	}
	if len(secret) > MaxSecret {
		return false, nil
	}
	ok, err := v(secret)
	return ok && len(secret) > 0 && err == nil, err
}

func refuse(name string) func(string) (verifier, error) {
	return func(string) (verifier, error) {
		return nil, fmt.Errorf("%s cannot be computed here: %w", name, ErrUnknown)
	}
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// fields splits what follows the prefix at "$" into exactly n parts.
func fields(setting, prefix string, n int) ([]string, error) {
	f := strings.Split(strings.TrimPrefix(setting, prefix), "$")
	if len(f) != n {
		return nil, ErrFormat
	}
	return f, nil
}

// number parses a decimal without sign, at most 9 digits.
func number(s string) (int, error) {
	if s == "" || len(s) > 9 {
		return 0, ErrFormat
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, ErrFormat
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}
