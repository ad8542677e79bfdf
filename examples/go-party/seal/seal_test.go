package seal

import (
	"bytes"
	"crypto/ed25519"
	"testing"
)

func identity(t *testing.T) *Identity {
	t.Helper()
	made, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var (
	toBob = Header{SessionID: "s", From: "alice", To: "bob", Round: 2, Type: "t", Key: "02ab"}
	toAll = Header{SessionID: "s", From: "alice", Round: 2, Type: "t", Key: "02ab"}
	plain = []byte("a share of a secret")
)

func sealed(t *testing.T, header Header, from *Identity, to *Public) []byte {
	t.Helper()
	made, err := from.Seal(header, to, plain)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheRecipientReadsWhatTheSenderSealed(t *testing.T) {
	alice, bob := identity(t), identity(t)
	for _, header := range []Header{toBob, toAll} {
		got, err := bob.Open(header, alice.Public(), sealed(t, header, alice, bob.Public()))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

func TestOnlyABroadcastCanBeReadOnTheWay(t *testing.T) {
	alice, bob := identity(t), identity(t)
	if bytes.Contains(sealed(t, toBob, alice, bob.Public()), plain) {
		t.Error("the payload lies open")
	}
	if _, err := identity(t).Open(toBob, alice.Public(), sealed(t, toBob, alice, bob.Public())); err == nil {
		t.Error("somebody else has read it")
	}
}

func TestAMessageOpensInNoOtherPlace(t *testing.T) {
	alice, bob := identity(t), identity(t)
	for name, move := range map[string]func(*Header){
		"session":      func(h *Header) { h.SessionID = "other" },
		"sender":       func(h *Header) { h.From = "carol" },
		"recipient":    func(h *Header) { h.To = "carol" },
		"to everybody": func(h *Header) { h.To = "" },
		"round":        func(h *Header) { h.Round = 3 },
		"type":         func(h *Header) { h.Type = "u" },
		"key":          func(h *Header) { h.Key = "" },
		"field border": func(h *Header) { h.Type, h.Key = "t0", "2ab" },
	} {
		moved := toBob
		move(&moved)
		if _, err := bob.Open(moved, alice.Public(), sealed(t, toBob, alice, bob.Public())); err == nil {
			t.Errorf("opens with another %s", name)
		}
	}
	single := toAll
	single.To = "bob"
	if _, err := bob.Open(single, alice.Public(), sealed(t, toAll, alice, nil)); err == nil {
		t.Error("a broadcast opens as a message to one")
	}
}

func TestNoByteCanBeChanged(t *testing.T) {
	alice, bob := identity(t), identity(t)
	for _, header := range []Header{toBob, toAll} {
		whole := sealed(t, header, alice, bob.Public())
		for i := range whole {
			spoilt := bytes.Clone(whole)
			spoilt[i] ^= 1
			if _, err := bob.Open(header, alice.Public(), spoilt); err == nil {
				t.Fatalf("byte %d can be changed", i)
			}
		}
		for length := range whole {
			if _, err := bob.Open(header, alice.Public(), whole[:length]); err == nil {
				t.Fatalf("%d bytes are enough", length)
			}
		}
	}
}

func TestNobodySignsForAnother(t *testing.T) {
	alice, bob, mallory := identity(t), identity(t), identity(t)
	whole := sealed(t, toBob, alice, bob.Public())
	// Mallory takes the sealed payload of alice and signs it as her own.
	own := toBob
	own.From = "mallory"
	body := whole[ed25519.SignatureSize:]
	stolen := append(ed25519.Sign(mallory.signing, append(own.bytes(), body...)), body...)
	if _, err := bob.Open(own, mallory.Public(), stolen); err == nil {
		t.Error("a stolen payload opens")
	}
	if _, err := bob.Open(toBob, alice.Public(), sealed(t, toBob, mallory, bob.Public())); err == nil {
		t.Error("mallory's message is alice's")
	}
}

func TestIdentitiesOutliveAFile(t *testing.T) {
	alice, bob := identity(t), identity(t)
	again, public := &Identity{}, &Public{}
	for _, step := range []struct {
		from interface{ MarshalText() ([]byte, error) }
		to   interface{ UnmarshalText([]byte) error }
	}{{bob, again}, {alice.Public(), public}} {
		text, err := step.from.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := step.to.UnmarshalText(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.Open(toBob, public, sealed(t, toBob, alice, bob.Public())); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "?", "AAAA"} {
		if public.UnmarshalText([]byte(text)) == nil || again.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken for keys", text)
		}
	}
}
