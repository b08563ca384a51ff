package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

// TestTraceOrders: channels are set all or none, and whoever names one that does not
// exist is told of those that do.
func TestTraceOrders(t *testing.T) {
	tr := logging.NewTracer(slog.New(slog.DiscardHandler), traceLogin, traceData)
	for _, c := range []struct {
		set  []control.TraceLevel
		want string
	}{
		{[]control.TraceLevel{{Channel: traceData, Level: 5}, {Channel: "auth", Level: 5}}, `no trace channel "auth"; there are data, login`},
		{[]control.TraceLevel{{Channel: traceData, Level: 5}, {Channel: traceLogin, Level: 21}}, `trace channel "login", level 21: from 0 to 20`},
	} {
		if _, err := setTrace(tr, c.set); !errors.Is(err, control.ErrParameters) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.set, err, c.want)
		}
	}
	l, err := setTrace(tr, []control.TraceLevel{{Channel: traceLogin, Level: 20}})
	if err != nil || len(l) != 2 || l[0] != (control.TraceLevel{Channel: traceData}) || l[1] != (control.TraceLevel{Channel: traceLogin, Level: 20}) {
		t.Errorf("%v, %v", l, err)
	}
}
