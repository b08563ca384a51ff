package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"sallyport/internal/control"
)

func (d *daemon) DelayInfo(context.Context) (control.DelayResult, error) {
	if d.state == "degraded" {
		return control.DelayResult{}, nil
	}
	pass := control.DelayRow{
		Host: "default", Protocol: "ftp", Step: "PASS", Engine: true, Policy: "deadline", Deadline: 40e6, Floor: 29e6,
		Count: 4, P50: 30e6, P80: 31e6, P95: 31e6, P99: 31e6, Max: 33e6, Samples: []int64{30e6, 31e6, 29e6, 33e6},
	}
	other := control.DelayRow{Host: "other", Class: "lan", Protocol: "ftps", Step: "start"}
	return control.DelayResult{Path: "/var/lib/sallyport/delay.table", Rows: []control.DelayRow{pass, other}, Unknown: 1}, nil
}

func (d *daemon) DelayReset(_ context.Context, r control.DelayResetRequest) (control.DelayResetResult, error) {
	if r.Host != "" && r.Host != "default" {
		return control.DelayResetResult{}, fmt.Errorf("%w: virtual host %q", control.ErrNotFound, r.Host)
	}
	return control.DelayResetResult{Rows: 2}, nil
}

func (d *daemon) DelayExplain(_ context.Context, r control.DelayExplainRequest) (control.DelayExplainResult, error) {
	return control.DelayExplainResult{Lines: []string{"source file: " + r.User + "\x1b[0m", r.Host + " " + r.Class + " " + r.Protocol}}, nil
}

func TestBinsHoldEverySample(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 5, 256} {
		var samples []int64
		for range n {
			samples = append(samples, g.Int64N(1_800_000_000_000))
		}
		list := bins(append(samples, -1, 0))
		sum := 0
		for i, b := range list {
			sum += b.n
			if b.from >= b.to || b.n > b.most || i > 0 && list[i-1].to != b.from {
				t.Errorf("bin %d: %+v after %+v", i, b, list[max(i-1, 0)])
			}
		}
		if sum != n+2 || len(list) > 40 {
			t.Errorf("%d samples: %d in %d bins", n, sum, len(list))
		}
	}
	if l := bins(nil); len(l) != 0 {
		t.Errorf("of nothing: %v", l)
	}
}
