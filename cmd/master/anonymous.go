package main

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// anonymousOf returns the anonymous block that a login is of, nil for any other
// login, or why there is none. The block must be one of the session's own host
// and class, and the account the one that it names.
func anonymousOf(set *policy.Settings, q *ipc.LoginReport) (*policy.Anonymous, string) {
	if q.Anonymous == 0 {
		return nil, ""
	}
	a := access.Anonymous(set, q.Anonymous)
	switch {
	case a == nil:
		return nil, "anonymous login that this host does not have"
	case a.User != q.User:
		return nil, "anonymous login as another account"
	}
	return a, ""
}

// anonymousRoot is the directory that an anonymous login is confined to:
// the block's, or with user_dir_root the one below it that has the name the
// client typed. A name that is no plain name of a directory is refused.
func anonymousRoot(a *policy.Anonymous, q *ipc.LoginReport) (string, error) {
	root := a.Path
	if root == "~" || strings.HasPrefix(root, "~/") {
		if !strings.HasPrefix(q.Home, "/") {
			return "", errors.New("the anonymous account has no home")
		}
		root = q.Home + root[1:]
	}
	if !strings.HasPrefix(root, "/") || strings.ContainsRune(root, 0) {
		return "", errors.New("the anonymous directory has no absolute path")
	}
	if !a.UserDir {
		return path.Clean(root), nil
	}
	name := q.Named
	if name == "" {
		name = q.User
	}
	if !plainName(name) {
		return "", fmt.Errorf("the name cannot be that of a directory")
	}
	return path.Join(root, name), nil
}

// plainName tells whether a name that a client typed may stand for a directory:
// one component, not hidden, without control characters.
func plainName(name string) bool {
	return name != "" && len(name) <= 255 && name[0] != '.' &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f })
}
