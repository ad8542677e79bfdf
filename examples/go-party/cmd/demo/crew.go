package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"mpc-router/go-party/party"
	"mpc-router/go-party/router"
)

// crew are the three parties, each with a folder and a connection of its own.
type crew struct {
	options
	folder  string
	peers   string
	ids     []string
	ends    chan party.Outcome
	fail    context.CancelCauseFunc
	running sync.WaitGroup
}

// newCrew makes the parties' folders and tells each of the others' public identities: this is what the router must not do.
func newCrew(o options, folder string, fail context.CancelCauseFunc) (*crew, error) {
	c := &crew{options: o, folder: folder, ends: make(chan party.Outcome), fail: fail}
	c.peers = filepath.Join(folder, "peers.json")
	// Registrations outlive a demo, so each has parties of its own, unless tokens say who they are.
	suffix := "-" + rand.Text()[:6]
	if o.tokens != "" {
		suffix = ""
	}
	peers := make(party.Peers)
	for _, name := range []string{"alice", "bob", "carol"} {
		id := name + suffix
		c.ids = append(c.ids, id)
		store, err := party.OpenStore(c.data(id))
		if err != nil {
			return nil, err
		}
		identity, err := store.Identity()
		if err := errors.Join(err, store.Close()); err != nil {
			return nil, err
		}
		peers[id] = identity.Public()
	}
	text, err := json.MarshalIndent(peers, "", "  ")
	if err != nil {
		return nil, err
	}
	return c, os.WriteFile(c.peers, text, 0o600)
}

// accessOf is how a party, or the coordinator, may call the router.
func (o options) accessOf(name string) router.Access {
	access := o.access
	if o.tokens != "" {
		access.TokenFile = filepath.Join(o.tokens, name)
	}
	return access
}

func (c *crew) data(id string) string { return filepath.Join(c.folder, id) }

// start starts all of them; they end with the context.
func (c *crew) start(ctx context.Context) {
	for i, id := range c.ids {
		preParams := i
		if c.fresh {
			preParams = party.FreshPreParams
		}
		c.running.Go(func() {
			runParty := c.runHere
			if c.partyProgram != "" {
				runParty = c.runProcess
			}
			if err := runParty(ctx, id, preParams); err != nil {
				c.fail(fmt.Errorf("%s: %w", id, err))
			}
		})
	}
}

func (c *crew) runHere(ctx context.Context, id string, preParams int) error {
	return party.Run(ctx, party.Settings{
		Addr:          c.addr,
		Access:        c.accessOf(id),
		Self:          router.Self{PartyID: id, Role: "persistent", Version: "demo/1", Faults: c.faults},
		Data:          c.data(id),
		PeersFile:     c.peers,
		TestPreParams: preParams,
		Log:           slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})).With("party", id),
		OnEnd:         func(outcome party.Outcome) { c.tell(ctx, outcome) },
	})
}

func (c *crew) runProcess(ctx context.Context, id string, preParams int) error {
	access := c.accessOf(id)
	process := exec.CommandContext(ctx, c.partyProgram,
		"--addr", c.addr, "--tls="+strconv.FormatBool(access.TLS), "--token-file", access.TokenFile, "--party-id", id, "--data", c.data(id), "--peers", c.peers,
		"--test-preparams", strconv.Itoa(preParams), "--json",
		"--skip-acks", strconv.FormatFloat(c.faults.SkipAcknowledgements, 'g', -1, 64),
		"--cut-every", strconv.Itoa(c.faults.CutEvery))
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	for decoder := json.NewDecoder(output); ; {
		var outcome party.Outcome
		if err := decoder.Decode(&outcome); err != nil {
			// What is left must be read, or the process cannot end.
			_, _ = io.Copy(io.Discard, output)
			break
		}
		c.tell(ctx, outcome)
	}
	if err := process.Wait(); ctx.Err() == nil {
		return fmt.Errorf("the process ended: %w", err)
	}
	return nil
}

func (c *crew) tell(ctx context.Context, outcome party.Outcome) {
	select {
	case c.ends <- outcome:
	case <-ctx.Done():
	}
}

// outcomes waits until so many parties have done with a session.
func (c *crew) outcomes(ctx context.Context, sessionID string, count int) ([]party.Outcome, error) {
	var all []party.Outcome
	for len(all) < count {
		select {
		case outcome := <-c.ends:
			if outcome.SessionID != sessionID {
				continue
			}
			if outcome.Error != "" {
				return nil, fmt.Errorf("%s: %s", outcome.PartyID, outcome.Error)
			}
			all = append(all, outcome)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return all, nil
}
