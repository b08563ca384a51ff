package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// bound is what the upper end of a fixed cell's interval must not exceed.
const bound = 0.55

// resamples of the bootstrap.
const resamples = 2000

// result is the statistic of one step of a cell.
type result struct {
	cell, step string
	counts     bool // one of the twelve
	n          int  // of either kind
	medA, medB float64
	auc        float64 // how often the first kind is faster, ties half
	lo, hi     float64 // bootstrap, 95 %
	p          float64 // bootstrap: how often the AUC is above bound
	ks         float64
}

func (r result) String() string {
	mark := " "
	if r.counts {
		mark = "*"
	}
	return fmt.Sprintf("%s %-44s %-4s n %4d  medians %8.3f %8.3f ms  KS %.3f  AUC %.3f [%.3f, %.3f]", mark, r.cell, r.step, r.n, r.medA, r.medB, r.ks, r.auc, r.lo, r.hi)
}

// point is a measurement in the order of time.
type point struct {
	v float64
	b bool // of the second kind
}

// analyse compares two samples of times in milliseconds.
func analyse(a, b []float64, seed uint64) result {
	r := result{n: min(len(a), len(b)), medA: median(a), medB: median(b)}
	all := make([]point, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, point{v, false})
	}
	for _, v := range b {
		all = append(all, point{v, true})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].v < all[j].v })
	ones := make([]int, len(all))
	for i := range ones {
		ones[i] = 1
	}
	r.auc, r.ks = weighted(all, ones)
	g := rand.New(rand.NewPCG(seed, 7))
	at := [2][]int{}
	for i, p := range all {
		k := 0
		if p.b {
			k = 1
		}
		at[k] = append(at[k], i)
	}
	boot := make([]float64, resamples)
	w := make([]int, len(all))
	above := 0
	for i := range boot {
		clear(w)
		for _, idx := range at {
			for range idx {
				w[idx[g.IntN(len(idx))]]++
			}
		}
		boot[i], _ = weighted(all, w)
		if boot[i] > bound {
			above++
		}
	}
	slices.Sort(boot)
	r.lo, r.hi = boot[resamples*25/1000], boot[resamples*975/1000-1]
	r.p = float64(above+1) / float64(resamples+1)
	return r
}

// weighted computes the AUC and the Kolmogorov-Smirnov distance of sorted points,
// each counted w times.
func weighted(all []point, w []int) (auc, ks float64) {
	var na, nb, wins float64
	for i, p := range all {
		if p.b {
			nb += float64(w[i])
		} else {
			na += float64(w[i])
		}
	}
	if na == 0 || nb == 0 {
		return 0.5, 0
	}
	var ca, cb float64 // before the present value
	for i := 0; i < len(all); {
		var a, b float64
		j := i
		for ; j < len(all) && all[j].v == all[i].v; j++ {
			if all[j].b {
				b += float64(w[j])
			} else {
				a += float64(w[j])
			}
		}
		wins += b*ca + a*b/2
		ca, cb = ca+a, cb+b
		ks = max(ks, math.Abs(ca/na-cb/nb))
		i = j
	}
	return wins / (na * nb), ks
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// holm tells for how many cells "the AUC is above the bound" is rejected at
// level alpha, over all of them.
func holm(rs []result, alpha float64) (rejected int) {
	p := make([]float64, len(rs))
	for i, r := range rs {
		p[i] = r.p
	}
	slices.Sort(p)
	for i, x := range p {
		if x > alpha/float64(len(p)-i) {
			break
		}
		rejected++
	}
	return rejected
}

// atLeast is the probability of k or more successes in n trials of probability p.
func atLeast(k, n int, p float64) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		lc, _ := math.Lgamma(float64(n + 1))
		la, _ := math.Lgamma(float64(i + 1))
		lb, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(lc - la - lb + float64(i)*math.Log(p) + float64(n-i)*math.Log(1-p))
	}
	return min(sum, 1)
}
