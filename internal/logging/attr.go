package logging

import (
	"log/slog"
	"strconv"
)

// Keys of the attributes that every process and every reader knows. An
// attribute's journal field is SALLYPORT_ and its key in upper case; the keys
// named here are left out of the text of MESSAGE where that would repeat them.
const (
	KeyEvent   = "event"
	KeySession = "session" // id of SessionInfo and of kick session
	KeyPeer    = "peer"    // address:port of the client
	KeyUser    = "user"    // a name that has been verified
	KeyClaimed = "user_claimed"
	KeyError   = "error"
)

// Session names the session a record is about.
func Session(id uint64) slog.Attr { return slog.String(KeySession, strconv.FormatUint(id, 10)) }

// Peer names the client by address or address:port. It opens the line.
func Peer(addr string) slog.Attr { return slog.String(KeyPeer, addr) }

// User names the account that is logged in.
func User(name string) slog.Attr { return slog.String(KeyUser, name) }

// Claimed is a name that a client typed and nobody has verified.
func Claimed(name string) slog.Attr { return slog.String(KeyClaimed, name) }

// Error is the cause of a failure.
func Error(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String(KeyError, err.Error())
}

// field is the journal's name of an attribute: [A-Z0-9_], at most 64 bytes.
func field(key string) string {
	b := make([]byte, 0, 64)
	b = append(b, "SALLYPORT_"...)
	for i := 0; i < len(key) && len(b) < 64; i++ {
		c := key[i]
		switch {
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		default:
			c = '_'
		}
		b = append(b, c)
	}
	return string(b)
}
