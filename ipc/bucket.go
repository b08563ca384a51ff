package ipc

import "time"

// bucket is a token bucket as one number: the time at which it will be full
// again. The zero bucket has no limit.
type bucket struct {
	per  time.Duration // from empty to full
	step time.Duration // a token
	full time.Time
}

func newBucket(burst int, per time.Duration) bucket {
	if burst < 1 {
		return bucket{}
	}
	step := max(per/time.Duration(burst), 1)
	return bucket{per: step * time.Duration(burst), step: step}
}

// take takes a token, if there is one.
func (b *bucket) take() bool { return b.step == 0 || b.takeAt(time.Now()) }

func (b *bucket) takeAt(now time.Time) bool {
	full := b.full
	if full.Before(now) {
		full = now
	}
	if full = full.Add(b.step); full.Sub(now) > b.per {
		return false
	}
	b.full = full
	return true
}
