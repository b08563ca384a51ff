// Package blob writes the views of the configuration that master hands out:
// sealed memory files, which [ipc.ReadBlob] reads. It stands apart from ipc so that
// the workers do not link the msgpack library.
package blob

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Seal encodes v (a struct of the kinds messages may have, or a pointer to one)
// into a sealed memfd that any number of readers may share. The caller owns the
// descriptor (close-on-exec).
func Seal(name string, v any) (int, error) {
	b, err := encode(v)
	if err == nil {
		err = ipc.CheckBlob(b, v)
	}
	if err != nil {
		return -1, fmt.Errorf("blob %s: %w", name, err)
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
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("blob %s: seal: %w", name, err)
	}
	return fd, nil
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	enc.UseArrayEncodedStructs(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return buf.Bytes(), nil
}
