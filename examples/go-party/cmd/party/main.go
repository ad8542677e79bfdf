// The party program is one party of a threshold key: it waits for sessions of a router and takes part in them.
//
//	party --party-id alice --data alice-data --identity > alice.pub
//	party --party-id alice --data alice-data --peers peers.json --addr 127.0.0.1:8080
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"mpc-router/go-party/party"
	"mpc-router/go-party/router"
)

const version = "go-party/1"

func main() {
	// A round is work for all cores: without threads to spare, messages would wait behind it.
	runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "party: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	settings := party.Settings{Self: router.Self{Version: version}}
	self := &settings.Self
	flag.StringVar(&settings.Addr, "addr", "127.0.0.1:8080", "host and port of the router")
	settings.Access.TLSFlag()
	flag.StringVar(&settings.Access.TokenFile, "token-file", "",
		"file of this party's token, for a router with authentication; read anew for each call")
	flag.StringVar(&self.PartyID, "party-id", "", "id of this party (required)")
	flag.StringVar(&self.Role, "role", "persistent", "persistent, delegate or temporary")
	flag.StringVar(&settings.Data, "data", "", "folder of this party: its identity and its shares (required)")
	flag.StringVar(&settings.PeersFile, "peers", "", "file with the public identities of all parties, as JSON")
	flag.IntVar(&settings.TestPreParams, "test-preparams", party.FreshPreParams,
		"use this set of public test parameters, 0 to 2, instead of fresh ones; never with funds")
	flag.Float64Var(&self.Faults.SkipAcknowledgements, "skip-acks", 0,
		"fault for tests: the share of acknowledgements that are not sent, 0 to 1")
	flag.IntVar(&self.Faults.CutEvery, "cut-every", 0,
		"fault for tests: cut the stream of messages after every so many of them")
	identity := flag.Bool("identity", false, "print the public identity of this party, and end")
	asJSON := flag.Bool("json", false, "print what became of each session, a line of JSON each")
	flag.Parse()
	if self.PartyID == "" || settings.Data == "" || flag.NArg() > 0 {
		return fmt.Errorf("--party-id and --data are required, and there are no other arguments than flags")
	}
	if *identity {
		return printIdentity(settings.Data)
	}
	settings.Log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("party", self.PartyID)
	if *asJSON {
		settings.OnEnd = printer()
	}
	return party.Run(ctx, settings)
}

func printIdentity(folder string) error {
	store, err := party.OpenStore(folder)
	if err != nil {
		return err
	}
	identity, err := store.Identity()
	if err != nil {
		return err
	}
	text, err := identity.Public().MarshalText()
	fmt.Printf("%s\n", text)
	return err
}

func printer() func(party.Outcome) {
	var mutex sync.Mutex
	encoder := json.NewEncoder(os.Stdout)
	return func(outcome party.Outcome) {
		mutex.Lock()
		defer mutex.Unlock()
		if err := encoder.Encode(outcome); err != nil {
			slog.Error("what became of a session cannot be printed", "error", err)
		}
	}
}
