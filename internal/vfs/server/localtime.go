package server

import "time"

// LoadLocalTime makes the standard library read the host's time zone now: it
// cannot be read once the process is confined. It is needed where TimesGMT is
// off.
func LoadLocalTime() { _ = time.Unix(0, 0).Local().String() }
