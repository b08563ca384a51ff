package ipc

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// libraryKillers make the msgpack library allocate gigabytes, recurse without
// end, or accept what no encoder makes, depending on the type it decodes into.
var libraryKillers = map[string][]byte{
	"array32 of 4G in a map":         unhex("81 a1 6c dd ff ff ff ff"),
	"array32 of 4G":                  unhex("dd ff ff ff ff"),
	"array32 of 100M":                unhex("dd 05 f5 e1 00"),
	"array32 of 4G in an interface":  unhex("81 a1 61 dd ff ff ff ff"),
	"map32 of 4G in a map":           unhex("81 a1 6d df ff ff ff ff"),
	"map32 of 4G":                    unhex("df ff ff ff ff"),
	"map32 of 10M":                   unhex("81 a1 6d df 00 98 96 80"),
	"map16 of 64K":                   unhex("de ff ff"),
	"array16 of 64K":                 unhex("dc ff ff"),
	"bin32 of 4G":                    unhex("c6 ff ff ff ff"),
	"str32 of 4G":                    unhex("db ff ff ff ff"),
	"bin16 of 64K":                   unhex("c5 ff ff"),
	"str16 of 64K":                   unhex("da ff ff"),
	"ext32 of 4G":                    unhex("c9 ff ff ff ff 01"),
	"fixext":                         unhex("d4 01 02"),
	"timestamp":                      unhex("d6 ff 00 00 00 00"),
	"0xc1, which is never used":      unhex("c1"),
	"65000 arrays in each other":     bytes.Repeat([]byte{0x91}, 65000),
	"65000 maps in each other":       bytes.Repeat([]byte{0x81}, 65000),
	"13000 arrays of 100000":         bytes.Repeat(unhex("dd 00 01 86 a0"), 13000),
	"duplicate keys":                 unhex("82 a1 61 01 a1 61 02"),
	"nil":                            unhex("c0"),
	"an empty map":                   unhex("80"),
	"a float":                        unhex("cb 3f f0 00 00 00 00 00 00"),
	"a string":                       unhex("a3 61 62 63"),
	"an integer":                     unhex("01"),
	"an array longer than any":       unhex("9f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"),
	"array16 where a short one does": unhex("dc 00 00"),
	"array32 of nothing":             unhex("dd 00 00 00 00"),
}

// TestLibraryKillersAreRefused puts each of them in the place of every message's
// body, and of every field.
func TestLibraryKillersAreRefused(t *testing.T) {
	eachRow(t, func(t *testing.T, d *Dialogue, r *row) {
		before := allocated()
		tried := uint64(0)
		for name, k := range libraryKillers {
			for at := -1; at < len(r.shape().field); at++ {
				b := datagram(d, r.Kind, k...)
				if at >= 0 {
					b = withField(t, d, r, at, k)
				}
				if len(b) > MaxMessage {
					continue
				}
				row, rest, err := d.head(b)
				if err != nil {
					t.Fatal(err)
				}
				tried++
				body, err := d.decode(row, rest)
				if err == nil && !sane(d, body, b) {
					t.Errorf("%s in field %d was accepted: %+v", name, at, body)
				}
			}
		}
		if got := allocated() - before; got > tried*(256<<10)+8<<20 {
			t.Errorf("%d inputs made it allocate %d bytes", tried, got)
		}
	})
}

// withField is the zero message with one field's bytes replaced.
func withField(t *testing.T, d *Dialogue, r *row, at int, with []byte) []byte {
	t.Helper()
	b, err := d.Encode(reflect.Zero(r.typ).Interface())
	if err != nil {
		t.Fatal(err)
	}
	_, rest, err := arrayHeader(b[headLen:])
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.shape().field {
		after, err := f.take(rest, reflect.New(f.typ).UnsafePointer())
		if err != nil {
			t.Fatal(err)
		}
		if i == at {
			head := b[:len(b)-len(rest)]
			return append(append(bytes.Clone(head), with...), after...)
		}
		rest = after
	}
	t.Fatalf("%s has no field %d", r.typ, at)
	return nil
}

// sane: some of them are right in some places, such as nil for a list. Then
// they are the one encoding of what came out.
func sane(d *Dialogue, body any, b []byte) bool {
	again, err := d.Encode(body)
	return err == nil && bytes.Equal(again, b)
}

func TestMalformedValues(t *testing.T) {
	type values struct {
		B   bool
		U8  uint8
		U16 uint16
		U32 uint32
		U64 uint64
		I8  int8
		I32 int32
		I64 int64
		S   string   `ipc:"40"`
		Y   []byte   `ipc:"300"`
		L   []uint16 `ipc:"20"`
		N   struct{ A, B uint8 }
		E   struct{}
	}
	right := [13]string{"c2", "00", "00", "00", "00", "00", "00", "00", "a0", "c0", "c0", "92 00 00", "90"}
	s := shapeOf(reflect.TypeFor[values]())
	whole := func(at int, with string) []byte {
		b := []byte{0x9d}
		for i, f := range right {
			if i == at {
				f = with
			}
			b = append(b, unhex(f)...)
		}
		return b
	}
	if err := s.whole(whole(-1, ""), unsafe.Pointer(new(values))); err != nil {
		t.Fatal(err)
	}
	long := func(head string, n int) string { return head + strings.Repeat("61", n) }
	for _, c := range []struct {
		name  string
		field int
		bytes string
		ok    bool
	}{
		{"true", 0, "c3", true},
		{"integer for bool", 0, "01", false},
		{"nil for bool", 0, "c0", false},
		{"uint8 max", 1, "cc ff", true},
		{"uint8 + 1", 1, "cd 01 00", false},
		{"uint8 -1", 1, "ff", false},
		{"uint8 in two bytes", 1, "cc 7f", false},
		{"uint8 in three", 1, "cd 00 ff", false},
		{"uint8 as int8", 1, "d0 01", false},
		{"uint8 as wide int", 1, "d1 00 80", false},
		{"nil for integer", 1, "c0", false},
		{"uint16 max", 2, "cd ff ff", true},
		{"uint16 + 1", 2, "ce 00 01 00 00", false},
		{"uint32 max", 3, "ce ff ff ff ff", true},
		{"uint32 + 1", 3, "cf 00 00 00 01 00 00 00 00", false},
		{"float for integer", 3, "ca 3f 80 00 00", false},
		{"uint64 max", 4, "cf ff ff ff ff ff ff ff ff", true},
		{"uint64 -1", 4, "d3 ff ff ff ff ff ff ff ff", false},
		{"int8 min", 5, "d0 80", true},
		{"int8 max", 5, "7f", true},
		{"int8 + 1", 5, "cc 80", false},
		{"int8 min - 1", 5, "d1 ff 7f", false},
		{"-32 short", 5, "e0", true},
		{"-32 long", 5, "d0 e0", false},
		{"-33", 5, "d0 df", true},
		{"int32 min", 6, "d2 80 00 00 00", true},
		{"int32 min - 1", 6, "d3 ff ff ff ff 7f ff ff ff", false},
		{"int32 max", 6, "ce 7f ff ff ff", true},
		{"int32 max + 1", 6, "ce 80 00 00 00", false},
		{"int64 min", 7, "d3 80 00 00 00 00 00 00 00", true},
		{"int64 max", 7, "cf 7f ff ff ff ff ff ff ff", true},
		{"uint64 max into int64", 7, "cf ff ff ff ff ff ff ff ff", false},
		{"string of 31", 8, long("bf", 31), true},
		{"string of 40", 8, long("d928", 40), true},
		{"string of 41", 8, long("d929", 41), false},
		{"string of 3 with a long head", 8, "d9 03 61 61 61", false},
		{"string with a 16-bit head", 8, long("da0028", 40), false},
		{"bytes for string", 8, "c4 01 61", false},
		{"nil for string", 8, "c0", false},
		{"array for string", 8, "91 01", false},
		{"bytes of none", 9, "c4 00", true},
		{"bytes of 255", 9, long("c4ff", 255), true},
		{"bytes of 300", 9, long("c5012c", 300), true},
		{"bytes of 301", 9, long("c5012d", 301), false},
		{"bytes with a long head", 9, "c5 00 01 61", false},
		{"string for bytes", 9, "a1 61", false},
		{"bin32", 9, "c6 00 00 00 01 61", false},
		{"list of none", 10, "90", true},
		{"list of 15", 10, long("9f", 15), true},
		{"list of 20", 10, long("dc0014", 20), true},
		{"list of 21", 10, long("dc0015", 21), false},
		{"list of 1 with a long head", 10, "dc 00 01 01", false},
		{"list of nil", 10, "91 c0", false},
		{"list of strings", 10, "91 a0", false},
		{"nil for struct", 11, "c0", false},
		{"struct of one field", 11, "91 00", false},
		{"struct of one field and something", 11, "91 00 00", false},
		{"struct of three", 11, "93 00 00 00", false},
		{"struct as map", 11, "82 a1 41 00 a1 42 00", false},
		{"struct with a long head", 11, "dc 00 02 00 00", false},
		{"nil for an empty struct", 12, "c0", false},
		{"map for an empty struct", 12, "80", false},
	} {
		b := whole(c.field, c.bytes)
		var v values
		if err := s.whole(b, unsafe.Pointer(&v)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !c.ok {
			continue
		}
		if again, err := s.put(nil, unsafe.Pointer(&v)); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: encoded again as %x, %v", c.name, again, err)
		}
		libraryAgrees(t, b, &v)
	}
}

// TestAListIsPaidFor: a head that promises elements takes no memory for them.
func TestAListIsPaidFor(t *testing.T) {
	var v struct{ L []struct{ A, B, C, D string } }
	b := append(unhex("91 dc 10 00"), bytes.Repeat([]byte{0x94}, 4096)...)
	before := allocated()
	err := shapeOf(reflect.TypeOf(v)).whole(b, unsafe.Pointer(&v))
	if got := allocated() - before; err != errShort || got > 64<<10 {
		t.Errorf("%v, with %d bytes allocated", err, got)
	}
}

// TestTruncatedAndTrailing cuts every message at every place, and adds to it.
func TestTruncatedAndTrailing(t *testing.T) {
	eachRow(t, func(t *testing.T, d *Dialogue, r *row) {
		b, err := d.Encode(filled(r.typ))
		if err != nil {
			t.Fatal(err)
		}
		try := func(b []byte) error {
			r, rest, err := d.head(b)
			if err == nil {
				_, err = d.decode(r, rest)
			}
			return err
		}
		if err := try(b); err != nil {
			t.Fatal(err)
		}
		for n := range b {
			wantProtocolError(t, try(b[:n]))
		}
		for _, tail := range [][]byte{{0}, {0xc0}, {0x90}, b} {
			wantProtocolError(t, try(append(bytes.Clone(b), tail...)))
		}
	})
}

// filled is a message with something in every field.
func filled(typ reflect.Type) any {
	v := reflect.New(typ).Elem()
	var set func(reflect.Value)
	set = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(true)
		case reflect.String:
			v.SetString(strings.Repeat("s", 5))
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 3, 3))
			for i := range 3 {
				set(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				set(v.Field(i))
			}
		default:
			if v.CanInt() {
				v.SetInt(-77)
			} else {
				v.SetUint(200)
			}
		}
	}
	set(v)
	return v.Interface()
}

func TestLimitsHoldOnBothSides(t *testing.T) {
	long := strings.Repeat("a", 257)
	for name, body := range map[string]any{
		"user of 257 bytes":  AuthRequest{User: long},
		"secret of 4097":     AuthRequest{Secret: make([]byte, 4097)},
		"reply with no form": nil,
		"of another channel": Stat{},
		"nil pointer":        (*AuthRequest)(nil),
		"a string":           "AuthRequest",
	} {
		b, err := SessionAuthd.Encode(body)
		if b != nil {
			t.Errorf("%s was encoded", name)
		}
		wantProtocolError(t, err)
	}
	_, err := SessionFiles.Encode(ListBatch{Lines: make([]byte, 61441)})
	wantProtocolError(t, err)
	_, err = FilesAuthd.Encode(NamesReply{Users: slicesOf(256, strings.Repeat("u", 4096))})
	wantProtocolError(t, err)
	for _, d := range dialogues { // the largest of each message by its tags fits, or is refused, never cut
		for _, r := range d.Rows {
			if b, err := d.Encode(r.Body); err != nil || len(b) > MaxMessage {
				t.Errorf("%T: %d bytes, %v", r.Body, len(b), err)
			}
		}
	}
}

func slicesOf(n int, s string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func TestHeads(t *testing.T) {
	d := AuthdPam
	for name, b := range map[string][]byte{
		"nothing":               {},
		"one byte":              {headCode},
		"no body":               datagram(d, 3),
		"not an array":          append([]byte{0x83, 3, 1}, 0x90),
		"an array of two":       {0x92, 3, 0x90},
		"kind 0":                datagram(d, 0, 0x90),
		"unknown kind":          datagram(d, 99, 0x90),
		"kind beyond the table": datagram(d, 200, 0x90),
		"version 0":             {headCode, 3, 0, 0x90},
		"version 1":             {headCode, 3, 1, 0x90},
		"a wide version":        {headCode, 3, 0xcc, 2, 0x90},
		"64 KiB and one":        datagram(d, 3, make([]byte, MaxMessage-2)...),
	} {
		if _, _, err := d.head(b); err == nil {
			t.Errorf("%s has a head", name)
		} else {
			wantProtocolError(t, err)
		}
	}
	if _, _, err := d.head(datagram(d, 3, 0x90)); err != nil {
		t.Error(err)
	}
	_, _, err := d.head([]byte{headCode, 3, 1, 0x90})
	if want := "ipc authd-pam: message 3: version 1 of the dialogue, this process speaks 2"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

type view struct {
	Name  string
	Count uint32
	Items []struct {
		Path string
		Rule []string
	}
}

func TestBlobRefusesWhatIsNone(t *testing.T) {
	before := openFDs(t)
	var v view
	right, err := encodeStruct(&view{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]byte{
		"empty": {}, "cut": right[:len(right)-1], "trailing": append(bytes.Clone(right), 0),
		"of another struct": {0x92, 1, 2},
	}
	for name, k := range libraryKillers {
		inputs[name] = k
		inputs[name+" inside"] = append(append([]byte{0x93, 0xa1, 0x78, 0x01}, k...), 0)
	}
	for name, b := range inputs {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		unix.Write(fd, b)
		if err := ReadBlob(fd, &v); err == nil {
			t.Errorf("%s was read: %+v", name, v)
		}
		unix.Ftruncate(fd, MaxBlob+1)
		if err := ReadBlob(fd, &v); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%s and 16 MiB: %v", name, err)
		}
		unix.Close(fd)
	}
	if err := ReadBlob(-1, &v); err == nil {
		t.Error("descriptor -1 was read")
	}
	if err := ReadBlob(files(t, 1)[0], &v); err == nil {
		t.Error("/dev/null was read")
	}
	if got := openFDs(t); got > before+1 { // /dev/null stays until the end
		t.Errorf("%d descriptors, %d before", got, before)
	}
}
