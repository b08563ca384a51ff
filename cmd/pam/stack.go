//go:build cgo

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of a service file, those of libpam or near them.
const (
	maxInclude = 16
	maxService = 1 << 20 // bytes
)

// stackHas tells whether a service has a line of that kind ("session"), in its
// own file or in one that it includes. A service without a file of its own is
// an error: libpam would take the stack "other" for it.
func stackHas(dir, service, kind string) (bool, error) {
	if service == "" || service != filepath.Base(service) || service == "." || service == ".." {
		return false, fmt.Errorf("PAM service %q is no file name", service)
	}
	return fileHas(dir, filepath.Join(dir, service), kind, maxInclude)
}

func fileHas(dir, file, kind string, depth int) (bool, error) {
	if depth == 0 {
		return false, fmt.Errorf("PAM file %s: included too deeply", file)
	}
	st, err := os.Stat(file)
	if err != nil {
		return false, fmt.Errorf("PAM service: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > maxService {
		return false, fmt.Errorf("PAM file %s: not a regular file of at most %d bytes", file, maxService)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return false, fmt.Errorf("PAM service: %w", err)
	}
	text := strings.ReplaceAll(string(data), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		var include string
		switch {
		case len(f) == 2 && f[0] == "@include":
			include = f[1]
		case len(f) < 3 || strings.ToLower(strings.TrimPrefix(f[0], "-")) != kind:
			continue
		case f[1] == "include" || f[1] == "substack":
			include = f[2]
		default:
			return true, nil
		}
		if !filepath.IsAbs(include) {
			include = filepath.Join(dir, include)
		}
		if has, err := fileHas(dir, include, kind, depth-1); has || err != nil {
			return has, err
		}
	}
	return false, nil
}
