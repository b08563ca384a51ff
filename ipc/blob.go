package ipc

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"
)

// MaxBlob bounds a sealed blob, in bytes.
const MaxBlob = 16 << 20

const blobSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// SealBlob encodes v (a struct of the kinds messages may have) into a sealed
// memfd that any number of readers may share. Master hands out the views of the
// configuration this way. The caller owns the descriptor (close-on-exec).
func SealBlob(name string, v any) (int, error) {
	b, err := encodeStruct(v)
	if err != nil {
		return -1, err
	}
	t := structType(v)
	if err := shapeOf(t).whole(b, reflect.New(t).UnsafePointer()); err != nil {
		return -1, fmt.Errorf("blob %s: %w", name, err)
	}
	if len(b) > MaxBlob {
		return -1, fmt.Errorf("blob %s: %d bytes, at most %d", name, len(b), MaxBlob)
	}
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("blob %s: %w", name, err)
	}
	for off := 0; off < len(b); {
		n, err := unix.Pwrite(fd, b[off:], int64(off))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("blob %s: %w", name, err)
		}
		off += n
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, blobSeals); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("blob %s: seal: %w", name, err)
	}
	return fd, nil
}

// encodeStruct has the library encode a blob: it is large, and made once for
// many readers. [shape.put] would make the same of it.
func encodeStruct(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	enc.UseArrayEncodedStructs(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return buf.Bytes(), nil
}

// structType returns the type of a struct or of what a pointer points to.
func structType(v any) reflect.Type {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
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
	if err := shapeOf(structType(v)).whole(b, to.UnsafePointer()); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}
