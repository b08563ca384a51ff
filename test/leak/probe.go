package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// contention asks what a second connection sees: an attacker who is logged in
// times the echo of his own session while another connection's password is
// checked. Three things are compared: nobody's, an unknown name's, a known one's.
func (w *world) contention(n int) error {
	s, err := w.up("yescrypt")
	if err != nil {
		return err
	}
	own, err := s.dial(false)
	if err != nil {
		return err
	}
	defer own.Close()
	if _, r, err := own.timed("USER leak"); err != nil {
		return fmt.Errorf("%q, %w", r, err)
	}
	if _, r, err := own.timed("PASS " + password); err != nil || r[0] != '2' {
		return fmt.Errorf("the probe's own login: %q, %w", r, err)
	}
	kinds := []login{{}, unknown, known}
	var v [3][]float64
	order := rand.Perm(3 * n)
	for _, i := range order {
		k := i % 3
		done := make(chan error, 1)
		if kinds[k].user == "" {
			done <- nil
		} else {
			go func() { _, err := s.try("ftp", kinds[k]); done <- err }()
		}
		mean, err := own.echo(40 * time.Millisecond)
		if err != nil {
			return err
		}
		if err := <-done; err != nil {
			return err
		}
		v[k] = append(v[k], mean)
	}
	for _, c := range []struct {
		what string
		a, b []float64
	}{
		{"second connection: nothing - a hash", v[0], v[2]},
		{"second connection: unknown - known", v[1], v[2]},
	} {
		r := analyse(c.a, c.b, 1)
		r.cell, r.step = c.what, "echo"
		fmt.Println(r)
	}
	return nil
}

// echo returns the mean time of the session's own NOOPs over a while, in
// milliseconds.
func (c *control) echo(while time.Duration) (float64, error) {
	var sum, n int64
	for start := time.Now(); time.Since(start) < while; n++ {
		_ = c.SetDeadline(time.Now().Add(patience))
		t, r, err := c.timed("NOOP")
		if err != nil || r[0] != '2' {
			return 0, fmt.Errorf("NOOP: %q, %w", r, err)
		}
		sum += t
	}
	return float64(sum) / float64(n) / 1e6, nil
}
