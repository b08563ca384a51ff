package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"time"
)

// measurement is one thing that is measured at every server.
type measurement struct {
	name  string
	what  string
	units map[string]string // figure -> unit
	ours  bool              // the peers have nothing to compare
	tls   bool              // at the servers under TLS, and at no others
	run   func(b *bench, s *server) (result, error)
}

// Figures by what they measure.
var (
	bulk     = map[string]string{"rate": "MiB/s", "cpu": "s/GiB"}
	perLogin = map[string]string{"cpu": "ms", "time": "ms"}
	perOp    = map[string]string{"rate": "/s", "cpu": "us"}
	perFile  = map[string]string{"down": "/s", "up": "/s", "cpu": "ms"}
	perList  = map[string]string{"time": "ms", "cpu": "ms"}
)

func measurements() []measurement {
	size := fmt.Sprintf("%d MiB", opts.size)
	files := fmt.Sprintf("%d files of 4 KiB down and up on one session", opts.files)
	entries := fmt.Sprintf("%d entries", opts.entries)
	return []measurement{
		{name: "retr", what: "plain RETR of " + size + " from tmpfs", units: bulk, run: download},
		{name: "stor", what: "plain STOR of " + size + " to tmpfs", units: bulk, run: upload},
		{name: "ftps-retr", what: "RETR of " + size + " under TLS", units: bulk, tls: true, run: download},
		{name: "ftps-stor", what: "STOR of " + size + " under TLS", units: bulk, tls: true, run: upload},
		{name: "login", what: "connect, USER, PASS, QUIT, one after the other", units: perLogin, run: logins(login)},
		{name: "quit", what: "connect, QUIT: what the handshake of ftps-shake comes on top of", units: perLogin, run: logins(connect)},
		{name: "ftps-login", what: "the same after a full handshake", units: perLogin, tls: true, run: logins(login)},
		{name: "ftps-shake", what: "connect, AUTH TLS with a full handshake, QUIT", units: perLogin, tls: true, run: logins(connect)},
		{name: "banner", what: "connect to the first byte of the banner", units: map[string]string{"time": "ms"}, run: banner},
		{name: "leave", what: "clients that connect, read the banner and leave, 8 at a time", units: map[string]string{"rate": "/s", "cpu": "ms"}, run: leave},
		{name: "noop", what: "NOOP, one session, one after the other", units: perOp, run: command("NOOP", "200")},
		{name: "size", what: "SIZE of one file", units: perOp, run: command("SIZE small", "213")},
		{name: "mlst", what: "MLST of one file", units: perOp, run: command("MLST small", "250")},
		{name: "small", what: files, units: perFile, run: smallFiles},
		{name: "ftps-small", what: files + " under TLS", units: perFile, tls: true, run: smallFiles},
		{name: "list", what: "LIST of " + entries, units: perList, run: listing("LIST many")},
		{name: "mlsd", what: "MLSD of " + entries, units: perList, run: listing("MLSD many")},
		{name: "ftps-list", what: "LIST of " + entries + " under TLS", units: perList, tls: true, run: listing("LIST many")},
		{name: "refused", what: "connections over max.connection_rate, 8 at a time", units: map[string]string{"rate": "/s", "cpu": "ms"}, ours: true, run: refused},
		{name: "banned", what: "connections of a banned address, 8 at a time; a login of somebody else without and with 2,000 of them a second", units: map[string]string{"rate": "/s", "cpu": "ms", "calm": "ms", "flooded": "ms"}, run: banned},
		{name: "silent", what: "5,000 clients that say nothing", units: map[string]string{"memory": "MiB", "processes": "more"}, ours: true, run: silent},
		{name: "idle", what: "an idle logged-in session: private memory over all its processes", units: map[string]string{"memory-1": "MiB", "memory-100": "MiB", "memory-1000": "MiB"}, run: idle},
	}
}

func download(_ *bench, s *server) (result, error) {
	return transfer(s, func(c *client, buf []byte) error {
		n, err := c.retr("large", buf)
		if err == nil && n != int64(opts.size)<<20 {
			err = fmt.Errorf("%d bytes", n)
		}
		return err
	})
}

func upload(b *bench, s *server) (result, error) {
	defer os.Remove(filepath.Join(b.home, "up"))
	return transfer(s, func(c *client, buf []byte) error { return c.stor("up", int64(opts.size)<<20, buf) })
}

func transfer(s *server, f func(*client, []byte) error) (result, error) {
	c, err := login(s)
	if err != nil {
		return nil, err
	}
	defer c.quit()
	buf := make([]byte, 1<<20)
	cpu, start := s.cpu(), time.Now()
	if err := f(c, buf); err != nil {
		return nil, err
	}
	wall := time.Since(start)
	return result{"rate": float64(opts.size) / wall.Seconds(), "cpu": (s.cpu() - cpu).Seconds() * 1024 / float64(opts.size)}, nil
}

// logins measures clients that come by in and leave.
func logins(in func(*server) (*client, error)) func(*bench, *server) (result, error) {
	return func(_ *bench, s *server) (result, error) {
		s.settle()
		cpu, start := s.cpu(), time.Now()
		for range opts.logins {
			c, err := in(s)
			if err != nil {
				return nil, err
			}
			c.quit()
		}
		wall := time.Since(start)
		s.settle()
		n := float64(opts.logins)
		return result{"cpu": (s.cpu() - cpu).Seconds() * 1e3 / n, "time": wall.Seconds() * 1e3 / n}, nil
	}
}

func banner(_ *bench, s *server) (result, error) {
	var all []float64
	for range 200 {
		start := time.Now()
		n, err := net.Dial("tcp", s.addr)
		if err != nil {
			return nil, err
		}
		var one [1]byte
		if _, err := io.ReadFull(n, one[:]); err != nil {
			return nil, err
		}
		all = append(all, time.Since(start).Seconds()*1e3)
		n.Close()
		time.Sleep(4 * time.Millisecond) // a rate every server can follow, not a wait for something
	}
	sort.Float64s(all)
	return result{"time": all[len(all)/2]}, nil
}

func leave(_ *bench, s *server) (result, error) {
	return hammer(s, 8, 2*time.Second, func() error {
		n, err := net.Dial("tcp", s.addr)
		if err != nil {
			return err
		}
		defer n.Close()
		var buf [256]byte
		_, err = n.Read(buf[:])
		return err
	})
}

func command(line, want string) func(*bench, *server) (result, error) {
	return func(_ *bench, s *server) (result, error) {
		c, err := login(s)
		if err != nil {
			return nil, err
		}
		defer c.quit()
		cpu, start := s.cpu(), time.Now()
		for range opts.ops {
			if _, err := c.cmd(line, want); err != nil {
				return nil, err
			}
		}
		wall := time.Since(start)
		n := float64(opts.ops)
		return result{"rate": n / wall.Seconds(), "cpu": (s.cpu() - cpu).Seconds() * 1e6 / n}, nil
	}
}

func smallFiles(b *bench, s *server) (result, error) {
	c, err := login(s)
	if err != nil {
		return nil, err
	}
	defer c.quit()
	name := func(i int) string { return fmt.Sprintf("s%d", i) }
	defer func() {
		for i := range opts.files {
			os.Remove(filepath.Join(b.home, name(i)))
		}
	}()
	buf := make([]byte, 8<<10)
	cpu, start := s.cpu(), time.Now()
	for range opts.files {
		n, err := c.retr("small", buf)
		if err == nil && n != 4096 {
			err = fmt.Errorf("%d bytes", n)
		}
		if err != nil {
			return nil, err
		}
	}
	down := time.Since(start)
	start = time.Now()
	for i := range opts.files {
		if err := c.stor(name(i), 4096, buf); err != nil {
			return nil, err
		}
	}
	up := time.Since(start)
	used := s.cpu() - cpu
	n := float64(opts.files)
	return result{"down": n / down.Seconds(), "up": n / up.Seconds(), "cpu": used.Seconds() * 1e3 / (2 * n)}, nil
}

// listing measures the mean of a few listings on one session.
func listing(line string) func(*bench, *server) (result, error) {
	return func(_ *bench, s *server) (result, error) {
		const times = 5
		c, err := login(s)
		if err != nil {
			return nil, err
		}
		defer c.quit()
		cpu, start := s.cpu(), time.Now()
		for range times {
			d, err := c.transfer(line)
			if err != nil {
				return nil, err
			}
			lines, err := countLines(d)
			d.Close()
			if err != nil {
				return nil, err
			}
			if lines < opts.entries {
				return nil, fmt.Errorf("%d lines only", lines)
			}
			if _, err := c.reply("226"); err != nil {
				return nil, err
			}
		}
		wall := time.Since(start)
		return result{"time": wall.Seconds() * 1e3 / times, "cpu": (s.cpu() - cpu).Seconds() * 1e3 / times}, nil
	}
}

// countLines reads to the end. It keeps nothing: a longer line must not cost the
// client more than its bytes.
func countLines(r io.Reader) (lines int, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		lines += bytes.Count(buf[:n], []byte("\n"))
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}

func refused(b *bench, s *server) (result, error) {
	r, err := b.variant(s, "max {\n  connection_rate = \"1/60s\"\n}\n")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	return hammer(r, 8, 2*time.Second, func() error {
		n, err := net.Dial("tcp", r.addr)
		if err != nil {
			return err
		}
		defer n.Close()
		var buf [64]byte
		_, _ = n.Read(buf[:])
		return nil
	})
}

func hammer(s *server, clients int, long time.Duration, f func() error) (result, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var n int
	var first error
	cpu, start := s.cpu(), time.Now()
	for range clients {
		wg.Go(func() {
			k := 0
			for time.Since(start) < long {
				if err := f(); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					break
				}
				k++
			}
			mu.Lock()
			n += k
			mu.Unlock()
		})
	}
	wg.Wait()
	wall := time.Since(start)
	if n == 0 {
		return nil, first
	}
	s.settle()
	return result{"rate": float64(n) / wall.Seconds(), "cpu": (s.cpu() - cpu).Seconds() * 1e3 / float64(n)}, nil
}

func silent(b *bench, s *server) (result, error) {
	r, err := b.variant(s, "")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	time.Sleep(time.Second) // let the pool fill
	before, procs := r.private(), len(r.pids())
	var open []net.Conn
	defer func() {
		for _, n := range open {
			n.Close()
		}
	}()
	for i := range 5000 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i/250), byte(1+i%250))}}
		n, err := d.Dial("tcp", r.addr)
		if err != nil {
			return nil, err
		}
		open = append(open, n)
		var buf [64]byte
		if _, err := n.Read(buf[:]); err != nil {
			return nil, fmt.Errorf("client %d: %w", i, err)
		}
	}
	return result{"memory": float64(r.private()-before) / (1 << 20), "processes": float64(len(r.pids()) - procs)}, nil
}

func idle(b *bench, s *server) (result, error) {
	r := result{}
	var open []*client
	defer func() {
		for _, c := range open {
			c.Close()
		}
		s.settle()
	}()
	s.settle()
	before := s.private()
	for _, n := range []int{1, 100, 1000} {
		for len(open) < n {
			c, err := login(s)
			if err != nil {
				return nil, fmt.Errorf("session %d: %w", len(open)+1, err)
			}
			open = append(open, c)
		}
		time.Sleep(time.Second) // idle, pools refilled
		r["memory-"+strconv.Itoa(n)] = float64(s.private()-before) / (1 << 20) / float64(n)
	}
	return r, nil
}
