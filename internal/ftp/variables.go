package ftp

import (
	"fmt"
	"strconv"
)

// sums are what display files tell of a session's transfers.
type sums struct {
	filesIn, filesOut uint64
	bytesIn, bytesOut uint64
}

// variable is a variable of a display file. What is not known is "-": %u, and before
// the login the counts of clients, %M %N %y %z.
func (s *Session) variable(name string) string {
	switch name {
	case "C":
		return s.cwd
	case "E":
		return s.admin()
	case "F":
		if free, ok := s.free(); ok {
			return strconv.FormatUint(free/1024, 10)
		}
	case "f":
		if free, ok := s.free(); ok {
			return withUnits(free)
		}
	case "i":
		return strconv.FormatUint(s.sums.filesIn, 10)
	case "o":
		return strconv.FormatUint(s.sums.filesOut, 10)
	case "t":
		return strconv.FormatUint(s.sums.filesIn+s.sums.filesOut, 10)
	case "K":
		return strconv.FormatUint(s.sums.bytesIn+s.sums.bytesOut, 10)
	case "k":
		return withUnits(s.sums.bytesIn + s.sums.bytesOut)
	case "L":
		return s.local.Addr().WithZone("").String()
	case "M":
		return s.head(s.company.Most)
	case "N":
		return s.head(s.company.Clients)
	case "y":
		return s.head(s.company.OfClass)
	case "z":
		return s.head(s.company.MostOfClass)
	case "R":
		return s.peer.Addr().WithZone("").String()
	case "U":
		return orDash(s.typed)
	case "V":
		return orDash(s.view.ServerName)
	case "x":
		return orDash(s.class)
	}
	return s.total(name)
}

// head is a number of clients, as master told it at the login; a limit that is
// none is a word.
func (s *Session) head(n uint32) string {
	switch {
	case s.user == "":
		return "-"
	case n == 0:
		return "none"
	}
	return strconv.FormatUint(uint64(n), 10)
}

func (s *Session) total(name string) string {
	n := uint64(0)
	switch name {
	case "{total_bytes_in}":
		n = s.sums.bytesIn
	case "{total_bytes_out}":
		n = s.sums.bytesOut
	case "{total_bytes_xfer}":
		n = s.sums.bytesIn + s.sums.bytesOut
	case "{total_files_in}":
		n = s.sums.filesIn
	case "{total_files_out}":
		n = s.sums.filesOut
	case "{total_files_xfer}":
		n = s.sums.filesIn + s.sums.filesOut
	default:
		return "-"
	}
	return strconv.FormatUint(n, 10)
}

func orDash(v string) string {
	if v == "" {
		return "-"
	}
	return v
}

// free is the room in the working directory.
func (s *Session) free() (bytes uint64, ok bool) {
	if s.files == nil || s.over() {
		return 0, false
	}
	free, _, err := s.files.Space(s.cwd)
	return free, err == nil
}

// withUnits shows bytes in the largest unit of which there is one.
func withUnits(n uint64) string {
	unit := 0
	f := float64(n)
	for ; f >= 1024 && unit < 5; unit++ {
		f /= 1024
	}
	return fmt.Sprintf("%.2f%sB", f, [...]string{"", "K", "M", "G", "T", "P"}[unit])
}
