package party

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"mpc-router/go-party/seal"
	"mpc-router/go-party/threshold"
)

const (
	identityFile  = "identity"
	preParamsFile = "preparams.json"
	keptSuffix    = ".share.json"
	pendingSuffix = ".pending.json"
	secretMode    = 0o600
	folderMode    = 0o700
)

// ErrNoShare is for a party that has no share which fits.
var ErrNoShare = errors.New("this party has no share of such a key")

// Store is a party's folder: its identity, its shares, and parameters for the next key. All of it is secret, and lies
// there in clear: a party that guards more than tests seals it, or puts it where it cannot be read.
type Store struct{ root *os.Root }

// storedShare is a share, and the keygen session it is from.
type storedShare struct {
	SessionID string `json:"sessionId"`
	// CreatedAt is the session's, in Unix milliseconds.
	CreatedAt int64            `json:"createdAt"`
	Share     *threshold.Share `json:"share"`
}

// OpenStore makes the folder if it is not there.
func OpenStore(folder string) (*Store, error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, err
	}
	// Whatever a session id looks like, no file is written outside.
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &Store{root}, nil
}

// Close releases the folder.
func (s *Store) Close() error { return s.root.Close() }

// Identity is the party's; it is made the first time.
func (s *Store) Identity() (*seal.Identity, error) {
	identity := &seal.Identity{}
	text, err := s.root.ReadFile(identityFile)
	if err == nil {
		return identity, identity.UnmarshalText(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if identity, err = seal.NewIdentity(); err != nil {
		return nil, err
	}
	if text, err = identity.MarshalText(); err != nil {
		return nil, err
	}
	return identity, s.write(identityFile, text)
}

// PreparePreParams makes parameters for the next key, unless there are some.
func (s *Store) PreparePreParams(ctx context.Context) error {
	if _, err := s.root.Stat(preParamsFile); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made, err := threshold.NewPreParams(ctx)
	if err != nil {
		return err
	}
	text, err := threshold.MarshalPreParams(made, "")
	if err != nil {
		return err
	}
	return s.write(preParamsFile, text)
}

// TakePreParams gives parameters away for good: every key has its own.
func (s *Store) TakePreParams(ctx context.Context) (threshold.PreParams, error) {
	if err := s.PreparePreParams(ctx); err != nil {
		return threshold.PreParams{}, err
	}
	text, err := s.root.ReadFile(preParamsFile)
	if err != nil {
		return threshold.PreParams{}, err
	}
	if err := s.root.Remove(preParamsFile); err != nil {
		return threshold.PreParams{}, err
	}
	return threshold.ParsePreParams(text)
}

// PutPending keeps a share whose session is not completed yet. It is on the disk when PutPending returns.
func (s *Store) PutPending(sessionID string, createdAt int64, share *threshold.Share) error {
	text, err := json.Marshal(storedShare{sessionID, createdAt, share})
	if err != nil {
		return err
	}
	return s.write(sessionID+pendingSuffix, text)
}

// GetPending gives such a share back, or ErrNoShare.
func (s *Store) GetPending(sessionID string) (*threshold.Share, error) {
	stored, err := s.read(sessionID + pendingSuffix)
	return stored.Share, err
}

// Keep makes a share of a completed session one to sign with.
func (s *Store) Keep(sessionID string) error {
	return s.rename(sessionID+pendingSuffix, sessionID+keptSuffix)
}

// Pending are the sessions whose end the party has not seen.
func (s *Store) Pending() ([]string, error) { return s.sessions(pendingSuffix) }

// Find gives the newest share that these parties can sign with. Which key is meant, the contract does not say; signers
// that use different ones cannot read each other's messages.
func (s *Store) Find(table *threshold.Table) (*threshold.Share, error) {
	sessions, err := s.sessions(keptSuffix)
	if err != nil {
		return nil, err
	}
	var newest storedShare
	for _, sessionID := range sessions {
		stored, err := s.read(sessionID + keptSuffix)
		if err != nil {
			return nil, err
		}
		if stored.Share.Fits(table) == nil && (newest.Share == nil || stored.CreatedAt > newest.CreatedAt) {
			newest = stored
		}
	}
	if newest.Share == nil {
		return nil, ErrNoShare
	}
	return newest.Share, nil
}

func (s *Store) read(name string) (storedShare, error) {
	var stored storedShare
	text, err := s.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return stored, ErrNoShare
	}
	if err != nil {
		return stored, err
	}
	if err := json.Unmarshal(text, &stored); err != nil || stored.Share == nil {
		return stored, fmt.Errorf("%s cannot be read", name)
	}
	return stored, nil
}

func (s *Store) sessions(suffix string) ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if sessionID, is := strings.CutSuffix(entry.Name(), suffix); is {
			found = append(found, sessionID)
		}
	}
	return found, nil
}

// write replaces a file as a whole, or leaves it as it was.
func (s *Store) write(name string, content []byte) error {
	next := name + ".new"
	file, err := s.root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, secretMode)
	if err != nil {
		return err
	}
	_, writeErr := file.Write(content)
	if err := errors.Join(writeErr, file.Sync(), file.Close()); err != nil {
		return err
	}
	return s.rename(next, name)
}

func (s *Store) rename(from, to string) error {
	if err := s.root.Rename(from, to); err != nil {
		return err
	}
	// The name is on the disk only when the folder is.
	folder, err := s.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
