package crypt

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"

	shacrypt "github.com/go-crypt/x/crypt"
)

// SHA-crypt: $6$[rounds=N$]salt$hash and $5$..., salt at most 16 bytes, 5000
// rounds unless said.

const defaultRounds = 5000

func parseSHA512(s string) (verifier, error) { return parseSHA(s, "$6$", sha512.New, 86) }
func parseSHA256(s string) (verifier, error) { return parseSHA(s, "$5$", sha256.New, 43) }

func parseSHA(setting, prefix string, h func() hash.Hash, length int) (verifier, error) {
	rest, rounds := strings.TrimPrefix(setting, prefix), defaultRounds
	if r, ok := strings.CutPrefix(rest, "rounds="); ok {
		n, after, ok := strings.Cut(r, "$")
		if !ok {
			return nil, ErrFormat
		}
		var err error
		if rounds, err = number(n); err != nil {
			return nil, err
		}
		rest = after
	}
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > 16 || len(sum) != length || !crypt64(sum) {
		return nil, ErrFormat
	}
	if rounds < 1000 || rounds > MaxRounds {
		return nil, ErrCost
	}
	return func(secret []byte) (bool, error) {
		return equal(shacrypt.KeySHACrypt(h, secret, []byte(salt), rounds), []byte(sum)), nil
	}, nil
}

// parseMD5 reads $1$salt$hash, salt at most 8 bytes.
func parseMD5(setting string) (verifier, error) {
	salt, sum, ok := strings.Cut(strings.TrimPrefix(setting, "$1$"), "$")
	if !ok || len(salt) > 8 || len(sum) != 22 || !crypt64(sum) {
		return nil, ErrFormat
	}
	return func(secret []byte) (bool, error) {
		return equal(shacrypt.KeyMD5Crypt(secret, []byte(salt)), []byte(sum)), nil
	}, nil
}

const alphabet64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// crypt64 tells whether s is of crypt(3)'s base64 alphabet.
func crypt64(s string) bool {
	return strings.Trim(s, alphabet64) == ""
}
