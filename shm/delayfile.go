package shm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// The DelayTable's snapshot file, little-endian: a header of 64 bytes (magic 8,
// version 4, bytes of a row 4, rows 4, zero 4, key 16, zero 24), the rows, and
// SHA-256 of all that.
const (
	delayFileMagic   = "SALYDLY1"
	delayFileVersion = 1
	delayFileHead    = 64
	delayFileRow     = 8 * (8 + delaySamples)
	delayFileRows    = 1 << 14 // at most
	// DelayKeySize is the length of the key that picks decoys.
	DelayKeySize = 16
	// MaxDelayFile is the largest snapshot in bytes.
	MaxDelayFile = delayFileHead + delayFileRows*delayFileRow + sha256.Size
)

// Errors of a snapshot.
var (
	ErrDelayForeign = errors.New("not a snapshot of the DelayTable")
	ErrDelayVersion = errors.New("a snapshot of another version")
	ErrDelayDamaged = errors.New("damaged")
)

// EncodeDelay writes a snapshot: the rows, and the key by which unknown names
// get their decoys, so that a restart does not show which names are unknown.
func EncodeDelay(key [DelayKeySize]byte, rows []DelayRow) []byte {
	rows = rows[:min(len(rows), delayFileRows)]
	le := binary.LittleEndian
	b := make([]byte, 0, delayFileHead+len(rows)*delayFileRow+sha256.Size)
	b = append(b, delayFileMagic...)
	b = le.AppendUint32(b, delayFileVersion)
	b = le.AppendUint32(b, delayFileRow)
	b = le.AppendUint32(b, uint32(len(rows)))
	b = le.AppendUint32(b, 0)
	b = append(b, key[:]...)
	b = append(b, make([]byte, delayFileHead-len(b))...)
	for i := range rows {
		r := &rows[i]
		for _, n := range []uint64{
			r.Key.Hi, r.Key.Lo, uint64(r.Step), uint64(r.Count), uint64(r.Next), uint64(r.Deadline), uint64(r.Floor), r.Print,
		} {
			b = le.AppendUint64(b, n)
		}
		for _, n := range r.Ring {
			b = le.AppendUint64(b, uint64(n))
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// DecodeDelay reads a snapshot. The error says whether it is none, of another
// version, or damaged.
func DecodeDelay(b []byte) (key [DelayKeySize]byte, rows []DelayRow, err error) {
	le := binary.LittleEndian
	switch {
	case len(b) < 8 || !bytes.Equal(b[:8], []byte(delayFileMagic)):
		return key, nil, ErrDelayForeign
	case len(b) < delayFileHead+sha256.Size || len(b) > MaxDelayFile:
		return key, nil, fmt.Errorf("%w: %d bytes long", ErrDelayDamaged, len(b))
	case le.Uint32(b[8:]) != delayFileVersion || le.Uint32(b[12:]) != delayFileRow:
		return key, nil, fmt.Errorf("%w: version %d, rows of %d bytes", ErrDelayVersion, le.Uint32(b[8:]), le.Uint32(b[12:]))
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return key, nil, fmt.Errorf("%w: wrong checksum", ErrDelayDamaged)
	}
	n := int(le.Uint32(b[16:]))
	if n > delayFileRows || len(body) != delayFileHead+n*delayFileRow {
		return key, nil, fmt.Errorf("%w: %d rows in %d bytes", ErrDelayDamaged, n, len(b))
	}
	copy(key[:], b[24:])
	seen := make(map[DelayKey]bool, n)
	for i := range n {
		r, ok := decodeDelayRow(body[delayFileHead+i*delayFileRow:])
		if !ok || seen[r.Key] {
			return key, nil, fmt.Errorf("%w: row %d", ErrDelayDamaged, i)
		}
		seen[r.Key] = true
		rows = append(rows, r)
	}
	return key, rows, nil
}

func decodeDelayRow(b []byte) (DelayRow, bool) {
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	r := DelayRow{DelayHead: DelayHead{
		Key: DelayKey{word(0), word(1)}, Step: uint8(word(2)), Count: small(word(3)), Next: small(word(4)),
		Deadline: int64(word(5)), Floor: int64(word(6)), Print: word(7),
	}}
	for i := range r.Ring {
		r.Ring[i] = int64(word(8 + i))
	}
	return r, r.sound() && word(2) < 256
}
