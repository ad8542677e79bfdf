package party

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mpc-router/go-party/threshold"
)

var seats = []threshold.Seat{{PartyID: "alice", Index: 0}, {PartyID: "bob", Index: 1}, {PartyID: "carol", Index: 2}}

func open(t *testing.T) (*Store, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "alice")
	store, err := OpenStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store, folder
}

func aliceAnd(t *testing.T, others ...threshold.Seat) *threshold.Table {
	t.Helper()
	table, err := threshold.NewTable("alice", threshold.Terms{Shares: 3, Threshold: 2}, append(others, seats[0]))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// share tells itself apart from others by the mark.
func share(t *testing.T, mark int) *threshold.Share {
	t.Helper()
	preParams, err := threshold.TestPreParams(mark)
	if err != nil {
		t.Fatal(err)
	}
	made := &threshold.Share{Terms: threshold.Terms{Shares: 3, Threshold: 2}, Self: seats[0], Seats: seats}
	made.Data.LocalPreParams = preParams
	return made
}

func TestAnIdentityIsMadeOnce(t *testing.T) {
	store, folder := open(t)
	var texts []string
	for range 2 {
		identity, err := store.Identity()
		if err != nil {
			t.Fatal(err)
		}
		text, err := identity.Public().MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if texts[0] != texts[1] {
		t.Error("the second identity is another")
	}
	info, err := os.Stat(filepath.Join(folder, identityFile))
	if err != nil || info.Mode().Perm() != secretMode {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestAShareIsSignedWithOnceItsSessionIsCompleted(t *testing.T) {
	store, _ := open(t)
	if err := store.PutPending("s1", 1, share(t, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Find(aliceAnd(t, seats[1])); !errors.Is(err, ErrNoShare) {
		t.Errorf("found before its time: %v", err)
	}
	if pending, err := store.Pending(); err != nil || len(pending) != 1 || pending[0] != "s1" {
		t.Errorf("pending are %v, %v", pending, err)
	}
	if err := store.Keep("s1"); err != nil {
		t.Fatal(err)
	}
	if found, err := store.Find(aliceAnd(t, seats[2])); err != nil || found.Self != seats[0] {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := store.GetPending("s1"); !errors.Is(err, ErrNoShare) {
		t.Errorf("still pending: %v", err)
	}
}

func TestTheNewestShareThatFitsIsTaken(t *testing.T) {
	store, _ := open(t)
	for sessionID, made := range map[string]struct {
		createdAt int64
		mark      int
	}{"a": {3, 0}, "b": {5, 1}, "c": {4, 2}} {
		if err := errors.Join(store.PutPending(sessionID, made.createdAt, share(t, made.mark)), store.Keep(sessionID)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := store.Find(aliceAnd(t, seats[1]))
	if err != nil || found.Data.NTildei.Cmp(share(t, 1).Data.NTildei) != 0 {
		t.Errorf("found another, %v", err)
	}
	stranger := threshold.Seat{PartyID: "dave", Index: 1}
	if _, err := store.Find(aliceAnd(t, stranger)); !errors.Is(err, ErrNoShare) {
		t.Errorf("a share for a stranger: %v", err)
	}
}

func TestNoSessionIDLeadsOutside(t *testing.T) {
	store, folder := open(t)
	if err := store.PutPending("../outside", 1, share(t, 0)); err == nil {
		t.Error("a share was written outside")
	}
	if entries, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

func TestPreParamsAreGivenAwayOnce(t *testing.T) {
	store, _ := open(t)
	preParams, err := threshold.TestPreParams(0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := threshold.MarshalPreParams(preParams, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.write(preParamsFile, text); err != nil {
		t.Fatal(err)
	}
	if taken, err := store.TakePreParams(t.Context()); err != nil || taken.NTildei.Cmp(preParams.NTildei) != 0 {
		t.Fatalf("took others, %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := store.TakePreParams(ended); err == nil {
		t.Error("they were given away twice")
	}
}
