package ftp

// TYPE A (RFC 959 §3.1.1.1): on the network a line ends with CR LF, in a file
// with LF. Both converters remember what the cut between two buffers hides.

// toNet makes each LF that has no CR before it CR LF.
type toNet struct{ cr bool } // the last byte was a CR

// convert appends the conversion of src to dst; at most twice its length.
func (c *toNet) convert(dst, src []byte) []byte {
	for _, b := range src {
		if b == '\n' && !c.cr {
			dst = append(dst, '\r')
		}
		c.cr = b == '\r'
		dst = append(dst, b)
	}
	return dst
}

// fromNet makes each CR LF a LF and keeps every other CR.
type fromNet struct{ cr bool } // a CR is held back

// convert writes the conversion of src over dst, which may be src[:0] with one
// byte in front of it: a CR that is held back comes out before the rest.
func (c *fromNet) convert(dst, src []byte) []byte {
	for _, b := range src {
		if c.cr && b != '\n' {
			dst = append(dst, '\r')
		}
		if c.cr = b == '\r'; !c.cr {
			dst = append(dst, b)
		}
	}
	return dst
}

// end is what is held back at the end of the stream.
func (c *fromNet) end(dst []byte) []byte {
	if c.cr {
		dst = append(dst, '\r')
	}
	c.cr = false
	return dst
}
