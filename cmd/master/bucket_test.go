package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBucketHoldsItsRate: in any window of per, at most twice count events pass
// (a full bucket and its refill), and a quiet bucket gives count at once.
func TestBucketHoldsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Uint32Range(1, 50).Draw(t, "count")
		per := time.Duration(rapid.Int64Range(1, int64(10*time.Second)).Draw(t, "per"))
		now := rapid.Int64Range(0, 1<<40).Draw(t, "start")
		b := newBucket(count, per, now)
		for range count {
			if !b.take(now) {
				t.Fatal("a full bucket refuses")
			}
		}
		if b.take(now) {
			t.Fatal("an empty bucket gives")
		}
		start, passed := now, uint32(0)
		for range 200 {
			now += rapid.Int64Range(0, int64(per)/10+1).Draw(t, "pause")
			if now-start > int64(per) {
				break
			}
			if b.take(now) {
				passed++
			}
		}
		if passed > 2*count {
			t.Fatalf("%d events in a window that allows %d", passed, count)
		}
		now += int64(per)
		for range count {
			if !b.take(now) {
				t.Fatal("a rested bucket refuses")
			}
		}
	})
}

func TestZeroBucketLimitsNothing(t *testing.T) {
	var b bucket
	for range 1000 {
		if !b.take(0) {
			t.Fatal("refused")
		}
	}
}
