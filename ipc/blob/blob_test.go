package blob_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/ipc"
	"sallyport/ipc/blob"
)

type view struct {
	Name  string
	Count uint32
	Items []struct {
		Path string
		Rule []string
	}
}

func TestSeal(t *testing.T) {
	want := view{Name: "x", Count: 7, Items: []struct {
		Path string
		Rule []string
	}{{"/a", []string{"r", "w"}}, {"/b", nil}}}
	fd, err := blob.Seal("test", &want)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 2 { // readers share it
		var got view
		if err := ipc.ReadBlob(fd, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if _, err := unix.Pwrite(fd, []byte{0}, 0); err != unix.EPERM {
		t.Errorf("write: %v", err)
	}
	for _, n := range []int64{0, 1 << 20} {
		if err := unix.Ftruncate(fd, n); err != unix.EPERM {
			t.Errorf("truncate to %d: %v", n, err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, 0); err != unix.EPERM {
		t.Errorf("another seal: %v", err)
	}
}

// self is what the library encodes in another way than messages are.
type self uint8

func (self) MarshalText() ([]byte, error) { return []byte("x"), nil }

func TestSealRefuses(t *testing.T) {
	for name, v := range map[string]any{
		"over-long string": view{Name: strings.Repeat("a", 4097)},
		"over-long list": view{Items: make([]struct {
			Path string
			Rule []string
		}, 4097)},
		"what encodes itself": struct{ X self }{},
	} {
		if fd, err := blob.Seal("test", v); err == nil {
			unix.Close(fd)
			t.Errorf("%s was sealed", name)
		}
	}
}
