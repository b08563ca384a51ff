package crypt

import (
	"encoding/base64"
	"strings"

	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
)

// The schemes that need memory: yescrypt, argon2id, scrypt.

// parseYescrypt reads $y$jNr$salt$hash: the default flags ("j"), one character
// for N and one for r, which is all that crypt(5) libraries write.
func parseYescrypt(setting string) (verifier, error) {
	f, err := fields(setting, "$y$", 3)
	if err != nil {
		return nil, err
	}
	if len(f[0]) != 3 || f[0][0] != 'j' || !crypt64(f[0]) || !crypt64(f[1]) || len(f[1]) > 86 || len(f[2]) != 43 || !crypt64(f[2]) {
		return nil, ErrFormat
	}
	n, r := index64(f[0][1])+1, index64(f[0][2])+1
	if n < 10 || n > 18 || r > 32 || r<<n*128 > MaxMemory {
		return nil, ErrCost
	}
	return func(secret []byte) (bool, error) {
		got, err := yescrypt.Hash(secret, []byte(setting))
		if err != nil {
			return false, ErrFormat
		}
		return equal(got, []byte(setting)), nil
	}, nil
}

func index64(c byte) int { return strings.IndexByte(alphabet64, c) }

// parseArgon2id reads $argon2id$v=19$m=KiB,t=passes,p=lanes$salt$hash.
func parseArgon2id(setting string) (verifier, error) {
	f, err := fields(setting, "$argon2id$", 4)
	if err != nil {
		return nil, err
	}
	if f[0] != "v=19" {
		return nil, ErrFormat
	}
	c, err := costs(f[1], "m", "t", "p")
	if err != nil {
		return nil, err
	}
	salt, sum, err := saltAndSum(f[2], f[3])
	if err != nil {
		return nil, err
	}
	m, t, p := c[0], c[1], c[2]
	if t < 1 || t > MaxPasses || p < 1 || p > MaxLanes || m < 8*p || m > MaxMemory>>10 || m*t > maxWork>>10 {
		return nil, ErrCost
	}
	return func(secret []byte) (bool, error) {
		return equal(argon2.IDKey(secret, salt, uint32(t), uint32(m), uint8(p), uint32(len(sum))), sum), nil
	}, nil
}

// parseScrypt reads $scrypt$ln=log2(N),r=R,p=P$salt$hash.
func parseScrypt(setting string) (verifier, error) {
	f, err := fields(setting, "$scrypt$", 3)
	if err != nil {
		return nil, err
	}
	c, err := costs(f[0], "ln", "r", "p")
	if err != nil {
		return nil, err
	}
	salt, sum, err := saltAndSum(f[1], f[2])
	if err != nil {
		return nil, err
	}
	return scryptVerifier(c[0], c[1], c[2], salt, func(secret []byte) (string, error) {
		key, err := scrypt.Key(secret, salt, 1<<c[0], c[1], c[2], len(sum))
		return string(key), err
	}, string(sum))
}

// parseScrypt7 reads crypt(5)'s $7$ form: N as one character, r and p as five
// each, the salt's characters used as they are.
func parseScrypt7(setting string) (verifier, error) {
	f, err := fields(setting, "$7$", 2)
	if err != nil {
		return nil, err
	}
	if len(f[0]) < 11 || !crypt64(f[0][:11]) || len(f[1]) != 43 || !crypt64(f[1]) {
		return nil, ErrFormat
	}
	var c [3]int
	c[0] = index64(f[0][0])
	for i := range 5 {
		c[1] |= index64(f[0][1+i]) << (6 * i)
		c[2] |= index64(f[0][6+i]) << (6 * i)
	}
	salt := []byte(f[0][11:])
	return scryptVerifier(c[0], c[1], c[2], salt, func(secret []byte) (string, error) {
		key, err := scrypt.Key(secret, salt, 1<<c[0], c[1], c[2], 32)
		return string(yescrypt.Encode64(key)), err
	}, f[1])
}

func scryptVerifier(ln, r, p int, _ []byte, key func([]byte) (string, error), sum string) (verifier, error) {
	if ln < 1 || ln > 30 || r < 1 || r > 1024 || p < 1 || p > MaxLanes ||
		r<<ln > MaxMemory/128 || r<<ln*p > maxWork/128 {
		return nil, ErrCost
	}
	return func(secret []byte) (bool, error) {
		got, err := key(secret)
		if err != nil {
			return false, ErrCost
		}
		return equal([]byte(got), []byte(sum)), nil
	}, nil
}

// costs reads "a=1,b=2,c=3" with exactly these names in this order.
func costs(s string, names ...string) ([]int, error) {
	parts := strings.Split(s, ",")
	if len(parts) != len(names) {
		return nil, ErrFormat
	}
	out := make([]int, len(names))
	for i, p := range parts {
		v, ok := strings.CutPrefix(p, names[i]+"=")
		if !ok {
			return nil, ErrFormat
		}
		var err error
		if out[i], err = number(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// saltAndSum decodes standard base64 without padding, and passlib's form of it
// ("." for "+").
func saltAndSum(salt, sum string) ([]byte, []byte, error) {
	a, err1 := raw64(salt)
	b, err2 := raw64(sum)
	if err1 != nil || err2 != nil || len(a) < 8 || len(b) < 16 || len(b) > 128 {
		return nil, nil, ErrFormat
	}
	return a, b, nil
}

func raw64(s string) ([]byte, error) {
	return base64.RawStdEncoding.Strict().DecodeString(strings.ReplaceAll(strings.TrimRight(s, "="), ".", "+"))
}
