package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/ipc"
)

// What is behind the prefix, besides the bans themselves.
const (
	redisEvents = "events"  // the channel that changes are published on
	redisLifted = "lifted." // + key: it was permitted, for whoever was not listening
	redisCount  = "count."  // + digest: times of events, a sorted set
)

// liftedFor is how long a permit is kept for daemons that were away.
const liftedFor = 7 * 24 * time.Hour

// atATime is how many changes go to the server in one write.
const atATime = 128

// event is what is published: {"op":"ban","key":...,"value":...,"node":...}.
type event struct {
	Op    string `json:"op"` // "ban" "permit"
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	Node  string `json:"node"`
}

// redisLife is one connection's to a Redis server: one that listens, one that
// works.
type redisLife struct {
	*store
	sub, cmd *respConn

	mu      sync.Mutex
	told    map[string]uint64   // what master knows: digests of values, lifted for none
	touched map[string]struct{} // since the listing began: it may know an older state
	list    listing
}

// lifted stands for a key that was permitted.
const lifted = 0

var digestSeed = maphash.MakeSeed()

func digest(value []byte) uint64 { return maphash.Bytes(digestSeed, value) | 1 }

// redis is the life of a connection: first it listens, then it lists what is
// there, so that nothing falls in between.
func (s *store) redis(ctx context.Context, up func()) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	r := &redisLife{store: s, told: map[string]uint64{}}
	var err error
	if r.sub, err = s.redisConn(ctx); err != nil {
		return err
	}
	defer r.sub.Close()
	if _, err := r.sub.do("SUBSCRIBE", s.share.Prefix+redisEvents); err != nil {
		return err
	}
	if r.cmd, err = s.redisConn(ctx); err != nil {
		return err
	}
	defer r.cmd.Close()
	stop := context.AfterFunc(ctx, func() { r.sub.Close(); r.cmd.Close() })
	defer stop()
	r.begin()
	var listener sync.WaitGroup
	listener.Go(func() { end(r.listen(ctx)) })
	end(r.work(ctx, up))
	listener.Wait()
	return context.Cause(ctx)
}

// redisConn calls the server and shows the password.
func (s *store) redisConn(ctx context.Context) (*respConn, error) {
	raw, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := newRespConn(raw, s.pace.timeout)
	hello := []string{"PING"}
	switch {
	case s.share.Password != "" && s.share.User != "":
		hello = []string{"AUTH", s.share.User, s.share.Password}
	case s.share.Password != "":
		hello = []string{"AUTH", s.share.Password}
	}
	if _, err := c.do(hello...); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// listen takes what others publish.
func (r *redisLife) listen(ctx context.Context) error {
	for {
		if err := r.sub.SetReadDeadline(time.Now().Add(r.pace.ping + r.pace.timeout)); err != nil {
			return err
		}
		m, err := readReply(r.sub.r)
		if err != nil {
			return fmt.Errorf("subscription: %w", err)
		}
		if err := m.failed(); err != nil {
			return fmt.Errorf("subscription: %w", err)
		}
		if len(m.list) == 3 && m.list[0].text == "message" {
			r.heard(ctx, m.list[2].text)
		}
	}
}

// heard takes an event. What is none is not for us.
func (r *redisLife) heard(ctx context.Context, text string) {
	var e event
	if json.Unmarshal([]byte(text), &e) != nil || e.Node == r.node || !isKey(e.Key) || len(e.Value) > maxValue {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Op == "ban" && e.Value != "":
		r.note(e.Key, digest([]byte(e.Value)))
		r.found(ctx, e.Key, []byte(e.Value))
	case e.Op == "permit":
		r.note(e.Key, lifted)
		r.tell(ctx, &ipc.BanGone{Key: e.Key})
	}
}

// note remembers what master knows, and that a listing may be behind.
func (r *redisLife) note(key string, state uint64) {
	if len(r.told) >= 2*maxFound {
		clear(r.told) // costs a repetition
	}
	r.told[key] = state
	if r.touched != nil {
		if len(r.touched) >= 2*maxFound {
			r.list.stale = true // it begins anew
			clear(r.touched)
		}
		r.touched[key] = struct{}{}
	}
}

// work sends what waits, and lists now and then.
func (r *redisLife) work(ctx context.Context, up func()) error {
	ping := time.NewTicker(r.pace.ping)
	defer ping.Stop()
	list := time.NewTicker(r.pace.list)
	defer list.Stop()
	ready := false
	for {
		more, err := r.send(ctx)
		if err != nil {
			return err
		}
		if r.list.open {
			if err := r.step(ctx); err != nil {
				return fmt.Errorf("list: %w", err)
			}
			if !r.list.open && !ready {
				ready = true
				r.takeLost() // master sends all anew
				up()
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if more || r.list.open {
			continue
		}
		if r.takeLost() {
			return errors.New("more bans at a time than it takes: all are sent anew")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		case <-list.C:
			r.begin()
		case <-ping.C:
			if err := r.ping(); err != nil {
				return err
			}
		}
	}
}

// ping asks on both connections; listen reads the answer of one.
func (r *redisLife) ping() error {
	if err := r.sub.SetWriteDeadline(time.Now().Add(r.pace.timeout)); err != nil {
		return err
	}
	if _, err := r.sub.Write(appendCommand(nil, "PING")); err != nil {
		return err
	}
	_, err := r.cmd.do("PING")
	return err
}

// send sends what waits, as much as goes into one write. More: there is more.
func (r *redisLife) send(ctx context.Context) (more bool, err error) {
	asked, counted := r.takeAsked()
	if err := r.count(ctx, counted); err != nil {
		return false, err
	}
	if err := r.look(ctx, asked); err != nil {
		return false, err
	}
	batch := r.take(atATime)
	if len(batch) == 0 {
		return false, nil
	}
	var b []byte
	n := 0
	for _, o := range batch {
		b, n = r.appendChange(b, n, o)
	}
	err = r.cmd.exchange(b, n, func(_ int, answer *reply) error {
		for _, e := range answer.list { // of EXEC
			if err := e.failed(); err != nil {
				return err
			}
		}
		return answer.failed()
	})
	if err != nil {
		r.back(batch)
		return false, fmt.Errorf("store: %w", err)
	}
	return len(batch) == atATime, nil
}

// appendChange adds the transaction of a change: what is stored and what is
// published are the same at every moment.
func (r *redisLife) appendChange(b []byte, n int, o *op) ([]byte, int) {
	left, alive := o.seconds(time.Now())
	if !alive {
		return b, n
	}
	prefix := r.share.Prefix
	e := event{Op: "permit", Key: o.key, Node: r.node}
	state := uint64(lifted)
	b = appendCommand(b, "MULTI")
	if o.value == nil {
		b = appendCommand(b, "DEL", prefix+o.key)
		b = appendCommand(b, "SETEX", prefix+redisLifted+o.key, strconv.Itoa(int(liftedFor/time.Second)), r.node)
	} else {
		e.Op, e.Value, state = "ban", string(o.value), digest(o.value)
		b = appendCommand(b, "DEL", prefix+redisLifted+o.key)
		if o.until.IsZero() {
			b = appendCommand(b, "SET", prefix+o.key, string(o.value))
		} else {
			b = appendCommand(b, "SETEX", prefix+o.key, strconv.FormatInt(left, 10), string(o.value))
		}
	}
	text, _ := json.Marshal(&e) // plain fields
	b = appendCommand(b, "PUBLISH", prefix+redisEvents, string(text))
	b = appendCommand(b, "EXEC")
	r.mu.Lock()
	r.note(o.key, state)
	r.mu.Unlock()
	return b, n + 5
}

// look answers questions for keys: they find what daemons that publish nothing
// have stored.
func (r *redisLife) look(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	var b []byte
	for _, k := range keys {
		b = r.appendGet(b, r.share.Prefix+k)
	}
	return r.cmd.exchange(b, len(keys), func(i int, answer *reply) error {
		v, err := valueOf(answer)
		if v != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.note(keys[i], digest(v))
			r.found(ctx, keys[i], v)
		}
		return err
	})
}

// appendGet asks for a value, as much of it as may be taken and a byte more. It
// is empty where there is none.
func (r *redisLife) appendGet(b []byte, key string) []byte {
	return appendCommand(b, "GETRANGE", key, "0", strconv.Itoa(maxValue))
}

// valueOf is the value of an answer to appendGet: none of a list or whatever else
// somebody has put there, none of what is too long.
func valueOf(r *reply) ([]byte, error) {
	switch {
	case r.kind == '-' && !strings.HasPrefix(r.text, "WRONGTYPE"):
		return nil, r.failed()
	case r.kind != '$' || r.text == "" || len(r.text) > maxValue:
		return nil, nil
	}
	return []byte(r.text), nil
}

// countScript counts an event at the server's time: what is older than the
// window goes, and so do the oldest of very many.
const countScript = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local window = ARGV[1] * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -10001)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', window))
return redis.call('ZCARD', KEYS[1])`

// count counts events where all daemons count them.
func (r *redisLife) count(ctx context.Context, events []ipc.EventCount) error {
	if len(events) == 0 {
		return nil
	}
	var b []byte
	for _, e := range events {
		sum := sha256.Sum256([]byte(e.Rule + "\x00" + e.Source))
		key := r.share.Prefix + redisCount + hex.EncodeToString(sum[:16])
		b = appendCommand(b, "EVAL", countScript, "1", key, strconv.FormatUint(uint64(max(1, e.Seconds)), 10),
			r.node+"."+strconv.FormatUint(r.seq.Add(1), 10))
	}
	err := r.cmd.exchange(b, len(events), func(i int, answer *reply) error {
		if err := answer.failed(); err != nil {
			return err
		}
		if answer.kind != ':' || answer.n < 1 || answer.n > 1<<31 {
			return errResp
		}
		r.tell(ctx, &ipc.EventCounted{Rule: events[i].Rule, Source: events[i].Source, Count: uint32(answer.n)})
		return nil
	})
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}
