package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// MaxPath is the longest virtual path in bytes, its leading slash included. It
// is what one request may carry and what the kernel resolves in one call.
const MaxPath = 4096

// Clean resolves what a client typed against its working directory and returns
// an absolute virtual path without ".", ".." and empty components. ".." at the
// root stays at the root. The resolution is lexical: "link/.." is the directory
// that holds link, whatever link points to. An empty arg is cwd itself; a
// trailing slash says nothing ("d/" is "d"). All other bytes stay as they are.
//
// A NUL byte is refused with EINVAL, a result of more than [MaxPath] bytes with
// ENAMETOOLONG; both errors are of type [*Error].
//
// Clean is idempotent: Clean(x, Clean(y, z)) == Clean(y, z).
func Clean(cwd, arg string) (string, error) {
	if strings.IndexByte(arg, 0) >= 0 || strings.IndexByte(cwd, 0) >= 0 {
		return "", &Error{Op: "resolve", Path: arg, Errno: unix.EINVAL}
	}
	p := arg
	if !strings.HasPrefix(p, "/") {
		p = cwd + "/" + arg
	}
	if !isClean(p) {
		p = lexical(p)
	}
	if len(p) > MaxPath {
		return "", &Error{Op: "resolve", Path: arg, Errno: unix.ENAMETOOLONG}
	}
	return p, nil
}

// Split returns the parent and the last component of a clean path; the name of
// "/" is empty.
func Split(clean string) (dir, name string) {
	i := strings.LastIndexByte(clean, '/')
	if i <= 0 {
		return "/", clean[i+1:]
	}
	return clean[:i], clean[i+1:]
}

// isClean tells whether p is absolute and lexical would return it unchanged.
func isClean(p string) bool {
	if p == "/" {
		return true
	}
	if len(p) == 0 || p[0] != '/' {
		return false
	}
	for rest := p; rest != ""; {
		rest = rest[1:]
		n := strings.IndexByte(rest, '/')
		if n < 0 {
			n = len(rest)
		}
		if c := rest[:n]; c == "" || c == "." || c == ".." {
			return false
		}
		rest = rest[n:]
	}
	return true
}

func lexical(p string) string {
	out := make([]byte, 0, len(p)+1)
	for c := range strings.SplitSeq(p, "/") {
		switch c {
		case "", ".":
		case "..":
			i := len(out) - 1
			for i > 0 && out[i] != '/' {
				i--
			}
			out = out[:max(i, 0)]
		default:
			out = append(append(out, '/'), c...)
		}
	}
	if len(out) == 0 {
		return "/"
	}
	return string(out)
}
