package shm

import (
	"encoding/binary"
	"math/bits"
)

// sipHash is SipHash-2-4 with a result of 128 bits (Aumasson and Bernstein,
// 2012): a short hash under a key, so that nobody outside can choose names that
// collide.
func sipHash(k0, k1 uint64, b []byte) (uint64, uint64) {
	v := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		v.block(binary.LittleEndian.Uint64(b))
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v.block(last)
	v[2] ^= 0xee
	v.rounds(4)
	h0 := v[0] ^ v[1] ^ v[2] ^ v[3]
	v[1] ^= 0xdd
	v.rounds(4)
	return h0, v[0] ^ v[1] ^ v[2] ^ v[3]
}

type sipState [4]uint64

func (v *sipState) block(m uint64) {
	v[3] ^= m
	v.rounds(2)
	v[0] ^= m
}

func (v *sipState) rounds(n int) {
	a, b, c, d := v[0], v[1], v[2], v[3]
	for range n {
		a += b
		b = bits.RotateLeft64(b, 13) ^ a
		a = bits.RotateLeft64(a, 32)
		c += d
		d = bits.RotateLeft64(d, 16) ^ c
		a += d
		d = bits.RotateLeft64(d, 21) ^ a
		c += b
		b = bits.RotateLeft64(b, 17) ^ c
		c = bits.RotateLeft64(c, 32)
	}
	v[0], v[1], v[2], v[3] = a, b, c, d
}
