package crypt

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// parseBcrypt reads $2b$cost$ and 53 characters. A password of more than 72
// bytes, or with a NUL, never matches: other implementations would compare the
// first part only.
func parseBcrypt(setting string) (verifier, error) {
	if len(setting) != 60 || setting[6] != '$' || !crypt64(setting[7:]) {
		return nil, ErrFormat
	}
	cost, err := number(setting[4:6])
	if err != nil {
		return nil, err
	}
	if cost < bcrypt.MinCost || cost > MaxBcryptCost {
		return nil, ErrCost
	}
	return func(secret []byte) (bool, error) {
		fits := len(secret) <= 72 && bytes.IndexByte(secret, 0) < 0
		if !fits { // the same work, for an answer that is known
			secret = secret[:min(len(secret), 72)]
		}
		err := bcrypt.CompareHashAndPassword([]byte(setting), secret)
		if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, ErrFormat
		}
		return err == nil && fits, nil
	}, nil
}

// parsePBKDF2 reads $pbkdf2-sha256$iterations$salt$hash and the sha512 form.
func parsePBKDF2(setting string) (verifier, error) {
	f := strings.Split(setting[1:], "$")
	if len(f) != 4 {
		return nil, ErrFormat
	}
	n, err := number(f[1])
	if err != nil {
		return nil, err
	}
	salt, sum, err := saltAndSum(f[2], f[3])
	if err != nil {
		return nil, err
	}
	h := sha256.New
	if f[0] == "pbkdf2-sha512" {
		h = sha512.New
	}
	if n < 1 || n > MaxIterations || len(sum) > h().Size() {
		return nil, ErrCost
	}
	return func(secret []byte) (bool, error) {
		key, err := pbkdf2.Key(h, string(secret), salt, n, len(sum))
		if err != nil {
			return false, ErrFormat
		}
		return equal(key, sum), nil
	}, nil
}
