package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mpc-router/go-party/party"
	"mpc-router/go-party/threshold"
)

// comparison sets the signings through the router against the same ones in memory: same process, same parties, same
// shares, channels instead of the router. They take turns, so that a busy machine is unfair to neither.
type comparison struct {
	Relayed  spread `json:"relayed"`
	InMemory spread `json:"inMemory"`
	// Ratio is that of the medians.
	Ratio float64 `json:"ratio"`
	// Session is the relayed signing with invitation, joining and report.
	Session spread `json:"session"`

	relayed, inMemory, session []time.Duration
}

type spread struct {
	Median time.Duration `json:"medianNanos"`
	Least  time.Duration `json:"leastNanos"`
	Most   time.Duration `json:"mostNanos"`
}

// newComparison is nil if none is wanted.
func (d *demo) newComparison() *comparison {
	if !d.compare {
		return nil
	}
	return &comparison{}
}

// once signs in memory what was just signed through the router.
func (c *comparison) once(ctx context.Context, d *demo, relayed *signed) error {
	if c == nil {
		return nil
	}
	took, err := d.signInMemory(ctx, relayed.Signers, relayed.Hash)
	if err != nil {
		return fmt.Errorf("signing in memory: %w", err)
	}
	c.relayed = append(c.relayed, relayed.Protocol)
	c.session = append(c.session, relayed.Session)
	c.inMemory = append(c.inMemory, took)
	return nil
}

func (c *comparison) end(d *demo) *comparison {
	if c == nil {
		return nil
	}
	c.Relayed, c.InMemory, c.Session = spreadOf(c.relayed), spreadOf(c.inMemory), spreadOf(c.session)
	c.Ratio = float64(c.Relayed.Median) / float64(c.InMemory.Median)
	d.say("%d signings each, in turn:", len(c.relayed))
	d.say("  in memory            %v", c.InMemory)
	d.say("  through the router   %v", c.Relayed)
	d.say("  ratio of medians     %.2f", c.Ratio)
	d.say("  with invitation, joining and report: %v", c.Session)
	return c
}

func (d *demo) signInMemory(ctx context.Context, pair []string, hash string) (time.Duration, error) {
	digest, err := hex.DecodeString(hash)
	if err != nil {
		return 0, err
	}
	seats := make([]threshold.Seat, len(pair))
	for i, id := range pair {
		seats[i] = threshold.Seat{PartyID: id, Index: slices.Index(d.crew.ids, id)}
	}
	tables, keys := make([]*threshold.Table, len(pair)), make([]*threshold.Share, len(pair))
	for i, id := range pair {
		if tables[i], err = threshold.NewTable(id, threshold.Terms{Shares: shares, Threshold: signers}, seats); err != nil {
			return 0, err
		}
		if keys[i], err = shareOf(d.crew.data(id), tables[i]); err != nil {
			return 0, err
		}
	}
	memory := threshold.NewMemory(seats)
	errs := make([]error, len(pair))
	var running sync.WaitGroup
	began := time.Now()
	for i, id := range pair {
		running.Go(func() { _, errs[i] = threshold.Sign(ctx, tables[i], keys[i], digest, memory.Link(id)) })
	}
	running.Wait()
	return time.Since(began), errors.Join(errs...)
}

func shareOf(folder string, table *threshold.Table) (*threshold.Share, error) {
	store, err := party.OpenStore(folder)
	if err != nil {
		return nil, err
	}
	share, err := store.Find(table)
	return share, errors.Join(err, store.Close())
}

func spreadOf(times []time.Duration) spread {
	sorted := slices.Sorted(slices.Values(times))
	return spread{sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]}
}

func (s spread) String() string {
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return fmt.Sprintf("median %v (%v to %v)", round(s.Median), round(s.Least), round(s.Most))
}
