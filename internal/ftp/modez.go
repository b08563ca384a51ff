package ftp

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"strconv"
	"strings"
)

// MODE Z: data connections carry zlib streams (draft-preston-ftpext-deflate,
// RFC 1950), one for each transfer, listings included. Offsets and sizes are
// those of the file, rates and counts those of the network.

// Bounds of MODE Z. Deflate makes at most 1032 bytes of one, and a file of zeros
// comes near to that; an upload that stays beyond maxRatio for long is no file
// but an attack on the disk.
const (
	maxRatio     = 200
	ratioFrom    = 64 << 20 // bytes inflated before the ratio counts
	defaultLevel = 6
)

// optsMode is OPTS MODE Z LEVEL n.
func (s *Session) optsMode(arg string) {
	w := strings.Fields(upper(arg))
	if !s.view.ModeZ || len(w) == 0 || w[0] != "Z" {
		s.reply(501, "'OPTS MODE' not understood")
		return
	}
	if len(w) != 3 || w[1] != "LEVEL" {
		s.reply(501, "'OPTS MODE Z' not understood")
		return
	}
	n, ok := number(w[2])
	if !ok || n < 1 || n > 9 {
		s.reply(501, "OPTS MODE Z LEVEL requires a value from 1 to 9")
		return
	}
	if int(n) != s.level {
		s.level, s.zip = int(n), nil
	}
	s.reply(200, "MODE Z LEVEL set to ", strconv.FormatInt(n, 10))
}

// outlet is where a transfer's bytes go: to the data connection, in MODE Z by
// way of a compressor.
type outlet struct {
	s    *Session
	c    conn
	zip  *zlib.Writer  // nil: none
	pack *bufio.Writer // behind it, as it gives away 240 bytes at a time
}

// outlet begins the stream of a transfer.
func (s *Session) outlet(c conn) *outlet {
	o := &outlet{s: s, c: c}
	if !s.deflate {
		return o
	}
	if s.zip == nil {
		if s.level == 0 {
			s.level = defaultLevel
		}
		s.zip, _ = zlib.NewWriterLevel(io.Discard, s.level) // the level has been checked
		s.pack = bufio.NewWriterSize(io.Discard, recordMax)
	}
	o.zip, o.pack = s.zip, s.pack
	o.pack.Reset(sender{s, c})
	o.zip.Reset(o.pack)
	return o
}

// write takes bytes; in MODE Z they may leave later.
func (o *outlet) write(b []byte) error {
	if o.zip == nil {
		return o.s.send(o.c, b)
	}
	if _, err := o.zip.Write(b); err != nil {
		return err
	}
	return o.s.step(-1, 0, false) // much may be read before anything is to be sent
}

// end ends the stream.
func (o *outlet) end() error {
	if o.zip == nil {
		return nil
	}
	if err := o.zip.Close(); err != nil {
		return err
	}
	return o.pack.Flush()
}

// sender is a data connection as a compressor sees it.
type sender struct {
	s *Session
	c conn
}

func (w sender) Write(b []byte) (int, error) {
	if err := w.s.send(w.c, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// inflater reads a zlib stream and guards against one that is a bomb.
type inflater struct {
	in  *bufio.Reader
	zip io.ReadCloser // nil: nothing has been read
	raw *int64        // bytes on the network so far
	out int64         // bytes inflated
}

var (
	errDamaged = &replyError{451, "Transfer aborted. Compressed data is damaged"}
	errBomb    = &replyError{552, "Transfer aborted. Compression ratio too high"}
)

func newInflater(in io.Reader, raw *int64) *inflater {
	return &inflater{in: bufio.NewReaderSize(in, 16<<10), raw: raw}
}

// Read returns inflated bytes; io.EOF where both the stream and the connection
// have ended. A connection that ends within the stream is one that was cut, but
// for one without a byte: some clients send nothing for an empty file.
func (r *inflater) Read(b []byte) (int, error) {
	if r.zip == nil {
		if _, err := r.in.Peek(1); err != nil {
			return 0, err
		}
		z, err := zlib.NewReader(r.in)
		if err != nil {
			return 0, damaged(err)
		}
		r.zip = z
	}
	n, err := r.zip.Read(b)
	r.out += int64(n)
	switch {
	case r.out > ratioFrom && r.out/maxRatio > *r.raw:
		return 0, errBomb
	case err == io.EOF:
		return n, r.trailer()
	case err != nil:
		return n, damaged(err)
	}
	return n, nil
}

// trailer holds that nothing follows the stream.
func (r *inflater) trailer() error {
	if _, err := r.in.Peek(1); err != nil {
		return err
	}
	return errDamaged
}

// damaged tells an error of the stream's bytes from one of the connection.
func damaged(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	case errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary), isCorrupt(err):
		return errDamaged
	}
	return err
}

// errCut: the connection ended within a stream that has an end of its own.
var errCut = errors.New("compressed data ends early")

func isCorrupt(err error) bool {
	var c flate.CorruptInputError
	var i flate.InternalError
	return errors.As(err, &c) || errors.As(err, &i)
}

// modeName is the mode in force, as STAT shows it.
func (s *Session) modeName() string {
	if s.deflate {
		return "Deflate"
	}
	return "Stream"
}
