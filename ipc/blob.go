package ipc

import (
	"fmt"
	"reflect"

	"golang.org/x/sys/unix"
)

// MaxBlob bounds a sealed blob, in bytes.
const MaxBlob = 16 << 20

// CheckBlob tells whether b is exactly the encoding of a struct of v's type; v is
// such a struct or a pointer to one.
func CheckBlob(b []byte, v any) error {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(b) > MaxBlob {
		return fmt.Errorf("%d bytes, at most %d", len(b), MaxBlob)
	}
	return shapeOf(t).whole(b, reflect.New(t).UnsafePointer())
}

// ReadBlob decodes a blob into v, a pointer to the struct it was made of. The
// descriptor stays open; the file offset is not used, so readers may share it.
// The content is copied before it is validated: no writer can change it in
// between, sealed or not.
func ReadBlob(fd int, v any) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	if st.Size <= 0 || st.Size > MaxBlob {
		return fmt.Errorf("blob: %d bytes, at most %d", st.Size, MaxBlob)
	}
	b := make([]byte, st.Size)
	for off := 0; off < len(b); {
		n, err := unix.Pread(fd, b[off:], int64(off))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("blob: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("blob: truncated")
		}
		off += n
	}
	to := reflect.ValueOf(v)
	to.Elem().SetZero()
	if err := shapeOf(to.Type().Elem()).whole(b, to.UnsafePointer()); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}
