package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func normal(g *rand.Rand, n int, mean float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = mean + g.NormFloat64()
	}
	return v
}

// TestAUCOfWhatIsKnown: of two normal distributions one deviation apart it is
// 0.760, of equal ones 0.5, and the direction counts.
func TestAUCOfWhatIsKnown(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	a, b := normal(g, 4000, 0), normal(g, 4000, 1)
	if r := analyse(a, b, 1); math.Abs(r.auc-0.760) > 0.02 || r.lo > 0.760 || r.hi < 0.760 || math.Abs(r.ks-0.383) > 0.03 {
		t.Errorf("%+v", r)
	}
	if r := analyse(b, a, 1); math.Abs(r.auc-0.240) > 0.02 || r.p > 0.001 {
		t.Errorf("the other way round: %+v", r)
	}
	if r := analyse([]float64{1, 1, 1}, []float64{1, 1}, 1); r.auc != 0.5 || r.ks != 0 {
		t.Errorf("ties: %+v", r)
	}
	if r := analyse([]float64{1, 2}, []float64{3, 4}, 1); r.auc != 1 || r.ks != 1 || r.medA != 1.5 {
		t.Errorf("apart: %+v", r)
	}
}

// TestIntervalsCoverTheTruth about as often as they say.
func TestIntervalsCoverTheTruth(t *testing.T) {
	g := rand.New(rand.NewPCG(3, 4))
	miss := 0
	const rounds = 60
	for i := range rounds {
		if r := analyse(normal(g, 150, 0), normal(g, 150, 0), uint64(i)); r.lo > 0.5 || r.hi < 0.5 {
			miss++
		}
	}
	if p := atLeast(miss, rounds, 0.05); p < 0.001 {
		t.Errorf("%d of %d intervals miss 0.5", miss, rounds)
	}
}

func TestHolm(t *testing.T) {
	for _, c := range []struct {
		p    []float64
		want int
	}{
		{[]float64{0.001, 0.001, 0.001}, 3},
		{[]float64{0.04, 0.001, 0.02}, 3},
		{[]float64{0.04, 0.001, 0.03}, 1}, // 0.03 is above 0.05/2
		{[]float64{0.02, 0.02, 0.02}, 0},
	} {
		var rs []result
		for _, p := range c.p {
			rs = append(rs, result{p: p})
		}
		if got := holm(rs, 0.05); got != c.want {
			t.Errorf("%v: %d, want %d", c.p, got, c.want)
		}
	}
}

func TestBinomialTail(t *testing.T) {
	for _, c := range []struct {
		k, n int
		want float64
	}{{0, 10, 1}, {1, 10, 0.4013}, {3, 20, 0.0755}, {20, 20, 0}} {
		if got := atLeast(c.k, c.n, 0.05); math.Abs(got-c.want) > 0.0005 {
			t.Errorf("%d of %d: %.4f, want %.4f", c.k, c.n, got, c.want)
		}
	}
}

// TestTheFixedCellsAreTwelve and cover every value of every factor.
func TestTheFixedCellsAreTwelve(t *testing.T) {
	n, seen := 0, map[string]bool{}
	for _, c := range fixedCells() {
		for _, step := range c.count {
			n++
			seen[step], seen[c.protocol], seen[c.server] = true, true, true
			seen[map[bool]string{true: "busy", false: "idle"}[c.busy]] = true
		}
	}
	if n != 12 {
		t.Errorf("%d cells", n)
	}
	for _, f := range []string{"PASS", "USER", "ftp", "ftps", "yescrypt", "bcrypt", "pam", "idle", "busy"} {
		if !seen[f] {
			t.Errorf("no cell with %s", f)
		}
	}
}
