package main

import (
	"flag"
	"fmt"
	"io"
)

// options is the command line.
type options struct {
	config  string
	check   bool
	version bool
	state   int // descriptor of the state of an earlier image; -1: a fresh start
	takes   int // with check: the version of the state that is to be taken over; 0: none
}

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("sallyport", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.config, "config", "/etc/sallyport/sallyport.hcl", "configuration `file`")
	fs.BoolVar(&o.check, "check", false, "validate the configuration, then exit")
	fs.BoolVar(&o.version, "version", false, "print the version, then exit")
	fs.IntVar(&o.state, "state", -1, "taken by an upgrade in place: `descriptor` of the former image's state")
	fs.IntVar(&o.takes, "takes", 0, "with --check: tell whether state of this `version` can be taken over")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, nil
}
