// The demo program makes a 2-of-3 key and signs with it, by three parties that know nothing but the router, and judges
// the signatures by itself.
//
//	demo --addr 127.0.0.1:8080
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"mpc-router/go-party/router"
)

type options struct {
	addr         string
	access       router.Access
	tokens       string
	signings     int
	compare      bool
	fresh        bool
	partyProgram string
	faults       router.Faults
	timeout      time.Duration
	json         bool
}

func main() {
	// A round is work for all cores: without threads to spare, messages would wait behind it.
	runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %v", o.timeout))
	defer cancel()
	var told io.Writer = os.Stdout
	if o.json {
		told = os.Stderr
	}
	result, err := perform(ctx, o, told)
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	return nil
}

func parse() (options, error) {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "host and port of the router")
	o.access.TLSFlag()
	flag.StringVar(&o.tokens, "tokens", "",
		"folder of token files coordinator, alice, bob and carol, for a router with authentication")
	flag.IntVar(&o.signings, "signings", 1, "how many signatures to make")
	flag.BoolVar(&o.compare, "compare", false, "make each signature once more in memory, and compare the times")
	flag.BoolVar(&o.fresh, "fresh", false, "make fresh safe primes instead of the public test parameters")
	flag.StringVar(&o.partyProgram, "party-program", "", "the party program: then each party is a process of its own")
	flag.Float64Var(&o.faults.SkipAcknowledgements, "skip-acks", 0, "share of acknowledgements that the parties do not send")
	flag.IntVar(&o.faults.CutEvery, "cut-every", 0, "the parties cut their streams after every so many messages")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Minute, "give up after this time")
	flag.BoolVar(&o.json, "json", false, "print the result as a line of JSON, and the story on standard error")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return o, fmt.Errorf("there are no arguments but flags: %q", flag.Args())
	case o.compare && o.partyProgram != "":
		return o, fmt.Errorf("--compare compares within one process: leave out --party-program")
	case o.signings < 1:
		return o, fmt.Errorf("--signings must be 1 or more")
	}
	return o, nil
}
