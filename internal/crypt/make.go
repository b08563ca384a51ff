package crypt

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"

	shacrypt "github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Default is the scheme of new passwords: argon2id with 19 MiB, two passes and
// one lane, about 25 ms of one core. It is dear enough for a stolen file and
// cheap enough that a core checks forty logins a second.
const Default = "argon2id"

const (
	argonMemory = 19 << 10 // KiB
	argonPasses = 2
	bcryptCost  = 11
	yescryptNr  = "j9T" // N 4096, r 32: 16 MiB, crypt(5)'s default
)

// Schemes lists what Hash can make, the default first.
func Schemes() []string { return []string{"argon2id", "yescrypt", "sha512", "sha256", "bcrypt"} }

// Hash returns the setting for a new password under scheme ("" for Default).
// An empty secret, one beyond MaxSecret, or (bcrypt) beyond 72 bytes is an error.
func Hash(secret []byte, scheme string) (string, error) {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return "", fmt.Errorf("password of %d bytes, 1 to %d are allowed", len(secret), MaxSecret)
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	switch scheme {
	case "", "argon2id":
		sum := argon2.IDKey(secret, salt, argonPasses, argonMemory, 1, 32)
		b64 := base64.RawStdEncoding
		return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", argonMemory, argonPasses,
			b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
	case "yescrypt":
		s, err := yescrypt.Hash(secret, []byte("$y$"+yescryptNr+"$"+string(yescrypt.Encode64(salt))))
		return string(s), err
	case "sha512":
		s := text64(salt)
		return "$6$" + s + "$" + string(shacrypt.KeySHACrypt(sha512.New, secret, []byte(s), defaultRounds)), nil
	case "sha256":
		s := text64(salt)
		return "$5$" + s + "$" + string(shacrypt.KeySHACrypt(sha256.New, secret, []byte(s), defaultRounds)), nil
	case "bcrypt":
		b, err := bcrypt.GenerateFromPassword(secret, bcryptCost)
		if err != nil {
			return "", fmt.Errorf("bcrypt: %w", err)
		}
		return "$2b$" + strings.TrimPrefix(string(b), "$2a$"), nil
	}
	return "", fmt.Errorf("scheme %q: %w (known: %s)", scheme, ErrUnknown, strings.Join(Schemes(), ", "))
}

// text64 makes 16 salt characters of 16 random bytes.
func text64(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = alphabet64[c&63]
	}
	return string(out)
}
