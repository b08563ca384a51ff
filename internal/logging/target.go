package logging

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
)

var syslogLevels = map[string]slog.Level{
	"emerg": LevelCrit, "alert": LevelCrit, "crit": LevelCrit, "error": slog.LevelError, "err": slog.LevelError,
	"warning": slog.LevelWarn, "warn": slog.LevelWarn, "notice": LevelNotice, "info": slog.LevelInfo, "debug": slog.LevelDebug,
}

// ParseTarget tells what the path of a log names: an absolute path (of a file
// or a FIFO), or "syslog:LEVEL", the daemon's own log.
func ParseTarget(path string) (level slog.Level, daemon bool, err error) {
	if name, ok := strings.CutPrefix(path, "syslog:"); ok {
		level, ok := syslogLevels[strings.ToLower(name)]
		if !ok {
			return 0, true, fmt.Errorf("log %q: %q is no level (emerg, alert, crit, error, warn, notice, info, debug)", path, name)
		}
		return level, true, nil
	}
	if !filepath.IsAbs(path) {
		return 0, false, fmt.Errorf("log %q: neither an absolute path nor \"syslog:LEVEL\"", path)
	}
	return 0, false, nil
}
