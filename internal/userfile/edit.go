package userfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/crypt"
)

// Errors of the editor that a caller branches on.
var (
	ErrNoEntry = errors.New("no such entry")
	ErrExists  = errors.New("exists already")
	ErrTooWeak = errors.New("password too short")
)

// DefaultMinLength is the shortest password that SetPassword takes, in bytes.
const DefaultMinLength = 8

// DefaultShell is the shell of a user that was given none. It is listed in
// /etc/shells everywhere, which require_valid_shell asks for.
const DefaultShell = "/bin/sh"

// Options of an edit. The zero value is right for most.
type Options struct {
	New       bool   // the entry must not exist yet (ErrExists)
	Scheme    string // of new passwords, see crypt.Schemes; "" for crypt.Default
	MinLength int    // of new passwords, in bytes; 0 for DefaultMinLength
	Root      bool   // uid and gid 0 are meant
}

// Hash returns the stored form of a password: a crypt(3) string under scheme
// ("" for crypt.Default).
func Hash(password []byte, scheme string) (string, error) { return crypt.Hash(password, scheme) }

// SetUser adds a user, or replaces the line of one. The file is made with mode
// 0600 where it is missing. An empty Hash keeps the one a user has and locks a
// new one ("!"); an empty Shell becomes DefaultShell.
func SetUser(path string, u User, o Options) error {
	if u.Shell == "" {
		u.Shell = DefaultShell
	}
	return edit(path, func(lines []string) ([]string, error) {
		i := entry(lines, u.Name)
		if i >= 0 && o.New {
			return nil, fmt.Errorf("user %s: %w", u.Name, ErrExists)
		}
		if u.Hash == "" {
			u.Hash = "!"
			if i >= 0 {
				u.Hash = strings.SplitN(lines[i], ":", 3)[1]
			}
		}
		line, err := u.format(o)
		if err != nil {
			return nil, err
		}
		return put(lines, i, line), nil
	})
}

// SetPassword gives a user a new password. A locked account is unlocked by it.
func SetPassword(path, name string, password []byte, o Options) error {
	least := o.MinLength
	if least == 0 {
		least = DefaultMinLength
	}
	if len(password) < least {
		return fmt.Errorf("%w: %d bytes, at least %d", ErrTooWeak, len(password), least)
	}
	hash, err := Hash(password, o.Scheme)
	if err != nil {
		return err
	}
	return setHash(path, name, func(string) string { return hash })
}

// Lock makes the password unusable by a "!" before its hash; Unlock takes every
// leading "!" away. Unlock of an account without a password is an error.
func Lock(path, name string) error {
	return setHash(path, name, func(h string) string {
		if strings.HasPrefix(h, "!") {
			return h
		}
		return "!" + h
	})
}

// Unlock undoes Lock.
func Unlock(path, name string) error {
	return setHash(path, name, func(h string) string { return strings.TrimLeft(h, "!") })
}

func setHash(path, name string, change func(string) string) error {
	return edit(path, func(lines []string) ([]string, error) {
		i := entry(lines, name)
		if i < 0 {
			return nil, fmt.Errorf("user %s: %w", name, ErrNoEntry)
		}
		f := strings.Split(lines[i], ":")
		if len(f) != 7 {
			return nil, fmt.Errorf("user %s: line %d has %d fields, not 7", name, i+1, len(f))
		}
		if f[1] = change(f[1]); f[1] == "" {
			return nil, fmt.Errorf("user %s has no password; set one", name)
		}
		lines[i] = strings.Join(f, ":")
		return lines, nil
	})
}

// Delete removes every line of a user.
func Delete(path, name string) error { return remove(path, "user", name) }

// SetGroup adds a group, or replaces the line of one.
func SetGroup(path string, g Group, o Options) error {
	line, err := g.format(o)
	if err != nil {
		return err
	}
	return edit(path, func(lines []string) ([]string, error) {
		i := entry(lines, g.Name)
		if i >= 0 && o.New {
			return nil, fmt.Errorf("group %s: %w", g.Name, ErrExists)
		}
		return put(lines, i, line), nil
	})
}

// DeleteGroup removes every line of a group.
func DeleteGroup(path, name string) error { return remove(path, "group", name) }

func remove(path, what, name string) error {
	return edit(path, func(lines []string) ([]string, error) {
		if entry(lines, name) < 0 {
			return nil, fmt.Errorf("%s %s: %w", what, name, ErrNoEntry)
		}
		return slices.DeleteFunc(lines, func(l string) bool { return named(l, name) }), nil
	})
}

// LookupUser returns a user of the file as it stands (ErrNoEntry).
func LookupUser(path, name string) (User, error) {
	list, err := ListUsers(path)
	if err != nil {
		return User{}, err
	}
	for _, u := range list {
		if u.Name == name {
			return u, nil
		}
	}
	return User{}, fmt.Errorf("user %s: %w", name, ErrNoEntry)
}

// ListUsers returns the users of a file, bad lines left out.
func ListUsers(path string) ([]User, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u, _ := ParseUsers(path, data, Rules{Root: true, Legacy: true})
	return u.List, nil
}

// LookupGroup returns a group of the file as it stands (ErrNoEntry).
func LookupGroup(path, name string) (Group, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Group{}, err
	}
	groups, _ := ParseGroups(path, data, Rules{Root: true})
	for _, g := range groups.List {
		if g.Name == name {
			return g, nil
		}
	}
	return Group{}, fmt.Errorf("group %s: %w", name, ErrNoEntry)
}

func (u User) format(o Options) (string, error) {
	if !o.Root && (u.UID == 0 || u.GID == 0) {
		return "", fmt.Errorf("user %s: uid or gid 0", u.Name)
	}
	line := strings.Join([]string{
		u.Name, u.Hash, strconv.FormatUint(uint64(u.UID), 10), strconv.FormatUint(uint64(u.GID), 10),
		u.Gecos, u.Home, u.Shell,
	}, ":")
	return whole(line, func() error { _, err := parseUser(line, Rules{Root: true}); return err })
}

func (g Group) format(o Options) (string, error) {
	if !o.Root && g.GID == 0 {
		return "", fmt.Errorf("group %s: gid 0", g.Name)
	}
	for _, m := range g.Members {
		if err := ValidName(m); err != nil || strings.Contains(m, ",") {
			return "", fmt.Errorf("group %s: member %q cannot be listed", g.Name, m)
		}
	}
	line := g.Name + ":x:" + strconv.FormatUint(uint64(g.GID), 10) + ":" + strings.Join(g.Members, ",")
	return whole(line, func() error { _, err := parseGroup(line); return err })
}

// whole refuses what would not be read back as this one line.
func whole(line string, parse func() error) (string, error) {
	if strings.ContainsAny(line, "\n\r\x00") || len(line) > MaxLine {
		return "", errors.New("line breaks, NUL bytes and very long fields cannot be stored")
	}
	return line, parse()
}

// entry returns the index of the first line of name, or -1.
func entry(lines []string, name string) int {
	return slices.IndexFunc(lines, func(l string) bool { return named(l, name) })
}

func named(line, name string) bool {
	return name != "" && !blank(line) && strings.HasPrefix(line, name+":")
}

func put(lines []string, i int, line string) []string {
	if i < 0 {
		return append(lines, line)
	}
	lines[i] = line
	return lines
}

// edit reads the file under a lock, lets change alter its lines, and puts the
// new content in place in one step.
func edit(path string, change func([]string) ([]string, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	mode := fs.FileMode(0o600)
	uid, gid := -1, -1
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		mode, uid, gid = fs.FileMode(st.Mode&0o775), int(st.Uid), int(st.Gid)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	var lines []string
	if len(data) > 0 {
		lines = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	}
	if lines, err = change(lines); err != nil {
		return err
	}
	out := strings.Join(lines, "\n")
	if out != "" {
		out += "\n"
	}
	return replace(path, []byte(out), mode, uid, gid)
}

// lockDir takes an advisory lock on the directory, so that two editors of its
// files do not lose each other's work.
func lockDir(dir string) (func(), error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	for {
		err = unix.Flock(fd, unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "lock", Path: dir, Err: err}
	}
	return func() { unix.Close(fd) }, nil
}

// replace writes a file beside path and renames it over path; owner and mode
// stay as they were, and the content is on disk before the name changes.
func replace(path string, data []byte, mode fs.FileMode, uid, gid int) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	if uid >= 0 && (uid != os.Geteuid() || gid != os.Getegid()) {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
