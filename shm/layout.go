package shm

import (
	"fmt"
	"hash/fnv"
)

// This file is the one picture of what is in shared memory. Sizes are in 64-bit
// words unless said otherwise. An object is a header of one page, then its
// entries:
//
//	/dev/shm/sallyport.<instance>.board     writer master; reader master
//	/dev/shm/sallyport.<instance>.ban       writer master; readers authd, sessions,
//	                                        netd by a read-only descriptor
//	/dev/shm/sallyport.<instance>.delay     writer authd; reader master, by pread: who
//	                                        may write may truncate, and a mapped
//	                                        reader would die of it; never a session:
//	                                        it would be a timing oracle
//	(memfd) one page a session              writer the session; reader master, who
//	                                        takes it for a claim; see page.go
//
// Sequence-locked records are marked "seq"; all other words stand alone.
//
// A change of anything below changes the layout hash, and a daemon that finds
// an object with another hash starts a new one.

// pageSize is the size in bytes of a header and of a session's page.
const pageSize = 4096

// Header of every object, at word 0.
const (
	headMagic   = iota // magic; stored last, so that a half-made header is none
	headVersion        // formatVersion
	headLayout         // Layout.hash
	headSize           // of the object in bytes, this page included
	headEntries        // how many entries follow the header
	headCreated        // Unix time in nanoseconds
	headWriter         // pid of the process that made the object
	headKey0           // ban: the key of the hash, random, new with each object; delay: of the decoys
	headKey1
	headMoves // ban: odd while entries change their places
	headBits4 // ban: prefix lengths in use, IPv4: bit n for /n
	headBits6 // ban: the same of IPv6, /0 to /63, /64 to /127, /128
	_
	_
	headWords

	headCounters = 64 // board: the counters, one word each, up to the end of the page
	maxCounters  = pageSize/wordSize - headCounters
)

const (
	magic         = 0x4d48535f594c4153 // "SALY_SHM", little-endian
	formatVersion = 1
)

// Board: one slot a session, seq, 64 words = 512 bytes.
const (
	slotSeq     = iota
	slotID      // session id; 0: the slot is free
	slotPIDs    // low half: pid of session; high half: of files, 0 before login
	slotSince   // Unix nanoseconds of the accept
	slotLogin   // Unix nanoseconds of the login, 0 before
	slotLengths // bytes from the lowest: user, peer, local, host, class, protocol; then Stage
	slotProtocol
	slotSpare
	slotUser  = 8             // 128 bytes
	slotPeer  = slotUser + 16 // 64 bytes
	slotLocal = slotPeer + 8  // 64 bytes
	slotHost  = slotLocal + 8 // 128 bytes
	slotClass = slotHost + 16 // 64 bytes
	slotWords = slotClass + 8
)

// Ban: a power of two of entries, seq, 8 words = 64 bytes (a cache line), open
// addressing by the low bits of the hash, linear probing; see ban.go.
// Look-up only: what a ban is called and why it exists stays in master's memory
// and its journal.
const (
	banSeq    = iota
	banHash0  // SipHash of (kind, name or prefix) under the header's key
	banHash1  // its second half; 0, 0: never used
	banExpiry // Unix nanoseconds; 0: a dead entry; the greatest: no end
	banFlags  // low byte: kind; of a prefix then its length, and 1 for IPv6
	banHost   // hash of the virtual host it holds for; 0: for all
	banSpare0
	banSpare1
	banWords
)

// Delay: one entry for each virtual host x protocol x step, seq, 272 words =
// 2,176 bytes. The ring holds the newest 256 samples.
const (
	delaySeq      = iota
	delayHash0         // SHA-256 of (virtual host, protocol, step), first 128 bits; 0, 0: free
	delayHash1         //
	delayStep          // low byte: step (see internal/delay)
	delayCount         // samples in the ring, up to 256
	delayNext          // where the next one goes
	delayDeadline      // when an answer leaves, nanoseconds
	delayFloor         // what the step was measured to cost at least, nanoseconds; 0: not yet
	delayPrint         // of the settings that the samples were taken under
	delayRing     = 16 // 256 samples, nanoseconds, at most 30 minutes each
	delaySamples  = 256
	delayWords    = delayRing + delaySamples
)

// Layout describes one kind of object.
type Layout struct {
	Name  string // last part of the object's name
	Words int    // of an entry
	about string // what the words mean, for the hash
}

// The objects.
var (
	BoardLayout = Layout{"board", slotWords, "seq id pids since login lengths protocol spare user:16 peer:8 local:8 host:16 class:8 / " + counterList()}
	BanLayout   = Layout{"ban", banWords, "seq hash:2 expiry flags host spare:2 / key:2 moves bits4 bits6:3"}
	DelayLayout = Layout{"delay", delayWords, "seq hash:2 step count next deadline floor print spare:7 ring:256"}
)

// hash is the layout hash of the header: FNV-1a over everything that decides
// where a word is and what it means.
func (l *Layout) hash() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d words: %s", formatVersion, l.Name, l.Words, l.about)
	return h.Sum64()
}

// size is that of an object of n entries, in bytes, whole pages.
func (l *Layout) size(n int) int64 {
	b := int64(pageSize) + int64(n)*int64(l.Words)*wordSize
	return (b + pageSize - 1) / pageSize * pageSize
}

// maxEntries bounds an object to 1 GiB: more is a mistake.
func (l *Layout) maxEntries() int { return (1<<30 - pageSize) / (l.Words * wordSize) }

// ObjectName returns the file name of an object of an instance. Instances are
// named by 1 to 64 letters, digits, "-" and "_".
func (l *Layout) ObjectName(instance string) (string, error) {
	if len(instance) < 1 || len(instance) > 64 {
		return "", fmt.Errorf("instance name %q: 1 to 64 characters are allowed", instance)
	}
	for _, c := range []byte(instance) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", fmt.Errorf("instance name %q: only letters, digits, - and _ are allowed", instance)
		}
	}
	return "sallyport." + instance + "." + l.Name, nil
}
