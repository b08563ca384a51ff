package ftp

import (
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/display"
	"sallyport/internal/policy"
)

// Display files: lines in front of a reply's last one. Those of the host come
// with the view; those of a directory are read as the user, by way of the files
// process.

// Bounds of a display file.
const (
	maxDisplay      = 4 << 10 // bytes read
	maxDisplayText  = 8 << 10 // bytes shown, variables included
	maxDisplayLines = 100
	maxShownDirs    = 256 // directories remembered for "once"
)

// show sends a display file as the first lines of the reply code, whose last
// line follows. What is not there is not shown, without a word.
func (s *Session) show(code int, f *policy.DisplayFile) {
	text := f.Text
	if f.Path != "" {
		text = s.readDisplay(f.Path)
	}
	if text == "" {
		return
	}
	text = display.Expand(text, maxDisplayText, s.variable)
	text = strings.TrimSuffix(text[:min(len(text), maxDisplayText)], "\n")
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		if line = display.Printable(strings.TrimSuffix(line, "\r")); n == 0 {
			s.coded(code, '-', line)
		} else {
			s.middle(line)
		}
		if n++; n == maxDisplayLines {
			return
		}
	}
}

// readDisplay reads the front of a file, relative to the working directory.
func (s *Session) readDisplay(name string) string {
	if s.files == nil || s.over() {
		return ""
	}
	path, ok := s.clean(name)
	if !ok {
		return ""
	}
	f, err := s.files.OpenRead(path, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(f.FD)
	b := make([]byte, maxDisplay)
	n, err := unix.Pread(f.FD, b, 0)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// showDir shows the file of the directory just entered. With once it is shown on
// the first visit, and again when it has changed since.
func (s *Session) showDir() {
	f := &s.view.Display.Chdir
	if f.Text == "" && f.Path == "" {
		return
	}
	if s.view.Display.ChdirOnce {
		at := int64(0)
		if f.Path != "" {
			path, ok := s.clean(f.Path)
			if !ok {
				return
			}
			info, err := s.files.Stat(path, true)
			if err != nil {
				return
			}
			at = info.Mtime
		}
		if last, seen := s.shown[s.cwd]; seen && at <= last {
			return
		}
		if s.shown == nil || len(s.shown) >= maxShownDirs {
			s.shown = make(map[string]int64)
		}
		s.shown[s.cwd] = at
	}
	s.show(250, f)
}

// showTransfer counts a whole file and shows the file of transfers; of listings
// neither.
func (s *Session) showTransfer(out bool) {
	if s.xfer.verb == "LIST" || s.xfer.verb == "NLST" || s.xfer.verb == "MLSD" {
		return
	}
	if out {
		s.sums.filesOut++
	} else {
		s.sums.filesIn++
	}
	s.show(226, &s.view.Display.Transfer)
}
