package party

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
	"mpc-router/go-party/router"
	"mpc-router/go-party/threshold"
)

// FreshPreParams is the TestPreParams of a party that makes its own.
const FreshPreParams = -1

// Settings are what a party is started with.
type Settings struct {
	// Addr is the router's host and port.
	Addr   string
	Access router.Access
	Self   router.Self
	// Data is the party's folder, see Store.
	Data string
	// PeersFile has the public identities of all parties: JSON, ids to keys.
	PeersFile string
	// TestPreParams is a set of public test parameters, or FreshPreParams.
	TestPreParams int
	Log           *slog.Logger
	OnEnd         func(Outcome)
}

// Run is a party from its start to the end of the context.
func Run(ctx context.Context, settings Settings) (err error) {
	store, err := OpenStore(settings.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	identity, err := store.Identity()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	peers, err := ReadPeers(settings.PeersFile)
	if err != nil {
		return err
	}
	connection, err := router.Connect(settings.Addr, settings.Access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	preParams := store.TakePreParams
	if settings.TestPreParams != FreshPreParams {
		preParams = func(context.Context) (threshold.PreParams, error) {
			return threshold.TestPreParams(settings.TestPreParams)
		}
	} else {
		settings.Log.Info("makes safe primes for the next key, unless there are some")
		if err := store.PreparePreParams(ctx); err != nil {
			return err
		}
	}
	party := New(Config{
		PartyID:   settings.Self.PartyID,
		Client:    router.NewClient(connection, settings.Self, settings.Log),
		Store:     store,
		Identity:  identity,
		Peers:     peers,
		PreParams: preParams,
		Approve:   approveAll,
		Log:       settings.Log,
		OnEnd:     settings.OnEnd,
	})
	if err := party.Serve(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// ReadPeers reads a file of public identities.
func ReadPeers(file string) (Peers, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("public identities of the parties: %w", err)
	}
	var peers Peers
	if err := json.Unmarshal(text, &peers); err != nil {
		return nil, fmt.Errorf("public identities of the parties: %s: %w", file, err)
	}
	return peers, nil
}

// approveAll is for an example: whoever may make sessions has everything signed.
func approveAll(context.Context, *routerv1.SessionEvent) error { return nil }
