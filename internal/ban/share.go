package ban

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Shared bans are JSON objects in a store, in the form that the reference's
// daemons read and write, so that both can share a list.

// shareVersion is the version of that form.
const shareVersion = 2

// Shared is the value in a store.
type Shared struct {
	Version  int    `json:"version"`
	UpdateTS int64  `json:"update_ts"` // seconds
	IPAddr   string `json:"ip_addr"`   // local address of the virtual host that banned
	Port     int    `json:"port"`
	Type     string `json:"ban_type"` // "host ban"
	Name     string `json:"ban_name"`
	Reason   string `json:"ban_reason"`
	Message  string `json:"ban_message"`
	Expires  int64  `json:"expires_ts"` // seconds; 0: never
	ServerID int    `json:"server_id"`
}

// sharedKey is the key in a store, behind its prefix.
type sharedKey struct {
	Type int    `json:"ban_type_id"`
	Name string `json:"ban_name"`
}

// The reference's numbers of the kinds.
var typeIDs = map[Kind]int{Class: 1, Host: 2, User: 3, UserAt: 4}

// ShareKey is the key of a ban in a store: JSON and a NUL, as the reference
// writes it.
func ShareKey(k Key) string {
	b, _ := json.Marshal(sharedKey{typeIDs[k.Kind], k.String()}) // plain fields
	return string(b) + "\x00"
}

// FromShareKey reads a key of a store.
func FromShareKey(key string) (Key, error) {
	var s sharedKey
	if len(key) > 512 {
		return Key{}, fmt.Errorf("%w: a key of %d bytes", ErrShared, len(key))
	}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(key, "\x00")), &s); err != nil {
		return Key{}, fmt.Errorf("%w: %v", ErrShared, err)
	}
	for kind, id := range typeIDs {
		if id == s.Type {
			return NameKey(kind, s.Name, "")
		}
	}
	return Key{}, fmt.Errorf("%w: type %d", ErrShared, s.Type)
}

// ShareValue is the value of a ban in a store. Address and port are those of the
// virtual host it holds for, or of the daemon's first listener.
func ShareValue(b *Ban, addr string, port int, now time.Time) []byte {
	s := Shared{
		Version: shareVersion, UpdateTS: now.Unix(), IPAddr: addr, Port: port, Type: KindNames[b.Kind] + " ban", Name: b.Key.String(),
		Reason: b.Reason, Message: b.Message, ServerID: 1,
	}
	if b.Expires != Forever {
		s.Expires = (b.Expires + int64(time.Second) - 1) / int64(time.Second)
	}
	out, _ := json.Marshal(s)
	return append(out, 0)
}

// ErrShared means that a value of a store is no ban that may be taken.
var ErrShared = errors.New("is no ban of another daemon")

// FromShare reads a value of a store. What is taken from there is bounded: no
// class, no prefix shorter than the rules ban (bits of IPv4, IPv6), and no ban
// that lasts longer than longest. Expired values are refused.
func FromShare(value []byte, now time.Time, longest time.Duration, bits4, bits6 int) (*Ban, error) {
	bad := func(format string, args ...any) (*Ban, error) {
		return nil, fmt.Errorf("%w: %s", ErrShared, fmt.Sprintf(format, args...))
	}
	if len(value) > 4<<10 {
		return bad("%d bytes", len(value))
	}
	var s Shared
	if err := json.Unmarshal([]byte(strings.TrimSuffix(string(value), "\x00")), &s); err != nil {
		return bad("%v", err)
	}
	switch {
	case s.Version != shareVersion:
		return bad("version %d", s.Version)
	case s.Port <= 0 || s.Port > 65535:
		return bad("port %d", s.Port)
	case s.Expires != 0 && s.Expires <= now.Unix():
		return bad("it has ended")
	case len(s.Reason) > 512 || len(s.Message) > 512:
		return bad("its texts are too long")
	}
	kind, ok := KindOf(strings.TrimSuffix(s.Type, " ban"))
	if !ok || !strings.HasSuffix(s.Type, " ban") {
		return bad("type %q", s.Type)
	}
	if kind == Class {
		return bad("classes are every daemon's own")
	}
	k, err := NameKey(kind, s.Name, "")
	if err != nil {
		return bad("%v", err)
	}
	if kind == Host {
		least := bits6
		if k.Prefix.Addr().Is4() {
			least = bits4
		}
		if k.Prefix.Bits() < least {
			return bad("%s is wider than /%d", k.Prefix, least)
		}
	}
	b := &Ban{Key: k, Created: now.UnixNano(), Origin: ByStore, Reason: s.Reason, Message: s.Message, Node: fmt.Sprintf("%s#%d", s.IPAddr, s.Port)}
	b.Expires = now.Add(longest).UnixNano()
	if s.Expires != 0 && s.Expires < now.Add(longest).Unix() {
		b.Expires = s.Expires * int64(time.Second)
	}
	return b, nil
}
