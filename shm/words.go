package shm

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

const wordSize = 8

// words is shared memory. The element type leaves no way to touch a word but
// by an atomic operation, which Go orders sequentially consistent.
type words []atomic.Uint64

// wordsOf views mapped memory, which is page-aligned, as words.
func wordsOf(mem []byte) words {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem))), len(mem)/wordSize)
}

// put stores as much of s as fits, little-endian, and returns its length in
// bytes.
func put[T string | []byte](w words, s T) int {
	n := min(len(s), len(w)*wordSize)
	for i := 0; i < n; i += wordSize {
		var v uint64
		for j := i; j < min(n, i+wordSize); j++ {
			v |= uint64(s[j]) << (8 * (j - i))
		}
		w[i/wordSize].Store(v)
	}
	return n
}

// text returns the first n bytes of w, or all of it where n is larger.
func text(w []uint64, n int) string {
	n = max(0, min(n, len(w)*wordSize))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w[i/wordSize] >> (8 * (i % wordSize)))
	}
	return string(b)
}

// maxSpins bounds how often a reader tries to get an unbroken copy of a record.
const maxSpins = 1000

// record is a run of words guarded by a sequence lock. Word 0 is the sequence
// number: even when the record is whole, odd while it is written. There is one
// writer at a time; readers are as many as they like.
type record words

// begin opens the record for writing. healed tells that an earlier writer was
// killed between begin and end; the record is then all zero, since nothing in
// it can be trusted, and the caller must write it whole.
func (r record) begin() (healed bool) {
	seq := r[0].Load()
	if seq&1 == 0 {
		r[0].Store(seq + 1)
		return false
	}
	r[0].Store(seq + 2) // still odd, and no reader mistakes it for the old one
	for i := 1; i < len(r); i++ {
		r[i].Store(0)
	}
	return true
}

// end publishes what was written since begin.
func (r record) end() { r[0].Add(1) }

// read copies the record into dst, which has its length. It returns false,
// with dst undefined, if no unbroken copy was to be had: a writer was killed
// in it, or never pauses.
func (r record) read(dst []uint64) bool {
	for spin := range maxSpins {
		if spin%64 == 63 {
			runtime.Gosched() // the writer may be waiting for this processor
		}
		before := r[0].Load()
		if before&1 != 0 {
			continue
		}
		for i := range r {
			dst[i] = r[i].Load()
		}
		if r[0].Load() == before {
			return true
		}
	}
	return false
}

// torn tells whether the record is odd at this moment. Only its writing process
// may conclude from it that a writer was killed.
func (r record) torn() bool { return r[0].Load()&1 != 0 }
