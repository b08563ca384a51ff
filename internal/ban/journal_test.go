package ban

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sample() []*Ban {
	var out []*Ban
	for i, n := range []string{"192.0.2.1", "2001:db8::/64"} {
		k, _ := NameKey(Host, n, "")
		out = append(out, &Ban{Key: k, Created: int64(i) + 1, Expires: Forever, Origin: ByAdmin, Reason: "requested by 'root'\n", Times: 1})
	}
	k, _ := NameKey(UserAt, "ann@192.0.2.1", "pub")
	return append(out, &Ban{Key: k, Created: 3, Expires: 99, Origin: ByRule, Event: "E", Count: 2, Rule: "f:1", Message: "né", Node: "n", Times: 3})
}

func TestSnapshotComesBack(t *testing.T) {
	var b bytes.Buffer
	if err := Snapshot(&b, sample()); err != nil {
		t.Fatal(err)
	}
	r, err := Replay(&b, nil)
	if err != nil || r.Damaged != 0 || !r.Whole || len(r.Bans) != 3 {
		t.Fatalf("%v %+v", err, r)
	}
	for _, want := range sample() {
		if d := cmp.Diff(want, r.Bans[want.Key], cmp.Comparer(equalKeys)); d != "" {
			t.Error(d)
		}
	}
}

func equalKeys(a, b Key) bool { return a == b }

// TestDamageCostsALine flips every bit of a file, one after the other: one line is
// lost at the most, it is reported, and nothing is made up.
func TestDamageCostsALine(t *testing.T) {
	var b bytes.Buffer
	for _, x := range sample() {
		b.Write(AddLine(x))
	}
	whole := b.Bytes()
	for i := range whole {
		for bit := range 8 {
			c := bytes.Clone(whole)
			c[i] ^= 1 << bit
			r, err := Replay(bytes.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Damaged == 0 && c[i]^whole[i] != 0x20 { // a checksum's letter may change its case
				t.Fatalf("bit %d of byte %d: not noticed", bit, i)
			}
			if len(r.Bans) < 1 || len(r.Bans) > 3 {
				t.Fatalf("bit %d of byte %d: %d bans", bit, i, len(r.Bans))
			}
		}
	}
	for n := range whole { // cut off anywhere
		r, err := Replay(bytes.NewReader(whole[:n]), nil)
		want := bytes.Count(whole[:n], []byte("\n"))
		if whole[n] == '\n' { // all but the line's end is there
			want++
		}
		if err != nil || len(r.Bans) != want || n > 0 && whole[n-1] != '\n' && r.Damaged == 0 {
			t.Fatalf("cut at %d: %v, %d bans", n, err, len(r.Bans))
		}
	}
}

func TestSnapshotWithoutItsEnd(t *testing.T) {
	var b bytes.Buffer
	_ = Snapshot(&b, sample())
	lines := strings.SplitAfter(b.String(), "\n")
	short := strings.Join(append(lines[:1:1], lines[2:]...), "")
	r, _ := Replay(strings.NewReader(short), nil)
	if r.Whole || r.Damaged == 0 || len(r.Bans) != 2 {
		t.Errorf("a ban is missing: %+v", r)
	}
}

func TestShare(t *testing.T) {
	now := time.Unix(1_000_000, 5)
	k, _ := NameKey(Host, "192.0.2.7", "")
	b := &Ban{Key: k, Expires: now.Add(time.Minute).UnixNano(), Reason: "MaxLoginAttempts autoban", Message: "no", Origin: ByRule}
	if got, want := ShareKey(k), "{\"ban_type_id\":2,\"ban_name\":\"192.0.2.7\"}\x00"; got != want {
		t.Errorf("key %q", got)
	}
	v := ShareValue(b, "198.51.100.1", 21, now)
	want := `{"version":2,"update_ts":1000000,"ip_addr":"198.51.100.1","port":21,"ban_type":"host ban","ban_name":"192.0.2.7",` +
		`"ban_reason":"MaxLoginAttempts autoban","ban_message":"no","expires_ts":1000061,"server_id":1}` + "\x00"
	if string(v) != want {
		t.Errorf("value %q", v)
	}
	got, err := FromShare(v, now, time.Hour, 32, 64)
	if err != nil || got.Key != k || got.Node != "198.51.100.1#21" || got.Expires != 1000061*second || got.Origin != ByStore {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := FromShare(v, now, time.Second, 32, 64); err != nil || got.Expires != now.Add(time.Second).UnixNano() {
		t.Errorf("not bounded: %+v %v", got, err)
	}
	for what, change := range map[string][2]string{
		"version":     {`"version":2`, `"version":3`},
		"port":        {`"port":21`, `"port":0`},
		"class":       {`host ban`, `class ban`},
		"no kind":     {`host ban`, `host`},
		"wide prefix": {`192.0.2.7`, `192.0.2.0/24`},
		"all":         {`192.0.2.7`, `::/0`},
		"name":        {`192.0.2.7`, ``},
		"ended":       {`1000061`, `999999`},
		"type":        {`"port":21`, `"port":"21"`},
	} {
		if got, err := FromShare([]byte(strings.Replace(string(v), change[0], change[1], 1)), now, time.Hour, 32, 64); err == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func FuzzReplay(f *testing.F) {
	var b bytes.Buffer
	_ = Snapshot(&b, sample())
	f.Add(b.Bytes())
	f.Add(LiftLine(sample()[0].Key))
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Replay(bytes.NewReader(in), nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range r.Bans {
			if x.Key != k {
				t.Fatalf("%v under %v", x.Key, k)
			}
		}
	})
}

func FuzzFromShare(f *testing.F) {
	now := time.Unix(1_000_000, 0)
	for _, x := range sample() {
		f.Add(ShareValue(x, "192.0.2.1", 21, now))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := FromShare(in, now, time.Hour, 32, 64)
		if err != nil {
			return
		}
		if b.Kind == Class || !b.Live(now.UnixNano()) || b.Expires > now.Add(time.Hour).UnixNano() || b.Origin != ByStore {
			t.Fatalf("%+v", b)
		}
	})
}
