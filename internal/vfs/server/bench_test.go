package server

import (
	"fmt"
	"testing"

	"sallyport/ipc"
)

// BenchmarkListings lists a directory of 10,000 entries over the channel.
func BenchmarkListings(b *testing.B) {
	dir, _ := jail(b)
	for i := range 10_000 {
		touch(b, fmt.Sprintf("%s/file-%05d.dat", dir, (i*7919)%10_000))
	}
	c := serve(b, dir, strict(), someNames)
	for name, r := range map[string]ipc.List{
		"LIST": {Path: "/"}, "NLST": {Path: "/", Form: ipc.FormNames}, "MLSD": {Path: "/", Form: ipc.FormMLSD, Facts: ipc.AllFacts},
		"LIST-t": {Path: "/", Options: "t"}, "NLST-pattern": {Path: "/*5.dat", Shown: "*5.dat", Form: ipc.FormNames},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := lines(b, c, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLines is a listing of the same directory without the channel.
func BenchmarkLines(b *testing.B) {
	dir, _ := jail(b)
	for i := range 10_000 {
		touch(b, fmt.Sprintf("%s/file-%05d.dat", dir, (i*7919)%10_000))
	}
	s := &Server{tree: openTree(b, dir), names: newNames(someNames), sortedRun: sortedRun, rules: strict()}
	for _, r := range []struct {
		name string
		req  ipc.List
	}{
		{"LIST", ipc.List{Path: "/"}},
		{"NLST", ipc.List{Path: "/", Form: ipc.FormNames}},
		{"MLSD", ipc.List{Path: "/", Form: ipc.FormMLSD, Facts: ipc.AllFacts}},
	} {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for l := s.list(&r.req); l.More; l = s.listNext() {
				}
			}
		})
	}
}

// BenchmarkStat is one SIZE, the trip over the channel included.
func BenchmarkStat(b *testing.B) {
	dir, _ := jail(b)
	write(b, dir+"/f", "")
	c := serve(b, dir, strict(), nil)
	for b.Loop() {
		if _, err := c.Stat("/f", true); err != nil {
			b.Fatal(err)
		}
	}
}
