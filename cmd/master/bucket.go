package main

import "time"

// bucket is a token bucket: count events at once, refilled evenly over per.
// The zero value limits nothing. Times are the loop's nanoseconds.
type bucket struct {
	count  int64
	per    int64
	tokens int64
	last   int64
}

func newBucket(count uint32, per time.Duration, now int64) bucket {
	return bucket{count: int64(count), per: int64(per), tokens: int64(count), last: now}
}

// take tells whether one more event is within the rate, and counts it if so.
func (b *bucket) take(now int64) bool {
	if b.count == 0 || b.per <= 0 {
		return true
	}
	step := max(b.per/b.count, 1) // one token's time
	switch d := now - b.last; {
	case d >= b.per:
		b.tokens, b.last = b.count, now
	case d >= step:
		b.tokens = min(b.count, b.tokens+d/step)
		b.last += d / step * step
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}
