package threshold

import (
	"math/big"
	"strings"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// parties are tss-lib's names of alice and bob.
func parties() (alice, bob *tss.PartyID) {
	sorted := tss.SortPartyIDs(tss.UnSortedPartyIDs{
		tss.NewPartyID("alice", "alice", big.NewInt(1)), tss.NewPartyID("bob", "bob", big.NewInt(2)),
	})
	return sorted[0], sorted[1]
}

func broadcast(t *testing.T) Message {
	t.Helper()
	alice, _ := parties()
	return encoded(t, signing.NewSignRound3Message(alice, big.NewInt(12345)))
}

func direct(t *testing.T) Message {
	t.Helper()
	alice, bob := parties()
	content := &signing.SignRound1Message1{C: []byte{7}, RangeProofAlice: [][]byte{{1}}}
	routing := tss.MessageRouting{From: alice, To: []*tss.PartyID{bob}}
	return encoded(t, tss.NewMessage(routing, content, tss.NewMessageWrapper(routing, content)))
}

func encoded(t *testing.T, from tss.Message) Message {
	t.Helper()
	message, err := encode(from)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestABroadcastTravelsAsSuch(t *testing.T) {
	message := broadcast(t)
	if message.Type != "gg18/sign/round3" || message.Round != 3 || message.From != "alice" || message.To != "" {
		t.Errorf("encoded as %+v", message)
	}
	alice, _ := parties()
	parsed, err := decode(message, alice)
	if err != nil {
		t.Fatal(err)
	}
	theta := parsed.Content().(*signing.SignRound3Message).GetTheta()
	if new(big.Int).SetBytes(theta).Int64() != 12345 {
		t.Errorf("theta came as %x", theta)
	}
	if !parsed.IsBroadcast() || parsed.GetFrom() != alice {
		t.Errorf("came as %v", parsed)
	}
}

func TestAMessageToOneTravelsToThatOne(t *testing.T) {
	message := direct(t)
	if message.Type != "gg18/sign/round1-mta" || message.Round != 1 || message.To != "bob" {
		t.Errorf("encoded as %+v", message)
	}
	alice, _ := parties()
	parsed, err := decode(message, alice)
	if err != nil {
		t.Fatal(err)
	}
	if got := parsed.Content().(*signing.SignRound1Message1).GetC(); string(got) != "\x07" || parsed.IsBroadcast() {
		t.Errorf("came as %v", parsed)
	}
}

func TestWhatIsNotWhatItSaysIsRefused(t *testing.T) {
	alice, _ := parties()
	wrap := func(content proto.Message) []byte {
		wrapped, err := anypb.New(content)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := proto.Marshal(wrapped)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	for name, spoil := range map[string]func(*Message){
		"another type":           func(m *Message) { m.Type = "gg18/sign/round4" },
		"no type":                func(m *Message) { m.Type = "" },
		"another round":          func(m *Message) { m.Round = 4 },
		"sent to one only":       func(m *Message) { m.To = "bob" },
		"no payload":             func(m *Message) { m.Payload = nil },
		"a payload cut short":    func(m *Message) { m.Payload = m.Payload[:len(m.Payload)-1] },
		"no protobuf":            func(m *Message) { m.Payload = []byte("not protobuf") },
		"not of tss-lib":         func(m *Message) { m.Payload = wrap(wrapperspb.String("x")) },
		"of the other protocol":  func(m *Message) { m.Payload = wrap(&keygen.KGRound3Message{}) },
		"of the protocol's next": func(m *Message) { m.Payload = wrap(&signing.SignRound4Message{}) },
	} {
		t.Run(name, func(t *testing.T) {
			message := broadcast(t)
			spoil(&message)
			if parsed, err := decode(message, alice); err == nil {
				t.Errorf("was taken as %v", parsed)
			}
		})
	}
	t.Run("a message to one that came to all", func(t *testing.T) {
		message := direct(t)
		message.To = ""
		if parsed, err := decode(message, alice); err == nil {
			t.Errorf("was taken as %v", parsed)
		}
	})
}

func TestEveryTypeHasItsOwnName(t *testing.T) {
	names := make(map[string]bool)
	for _, k := range kinds {
		if names[k.name] || k.round < 1 || !strings.HasPrefix(k.name, "gg18/") {
			t.Errorf("%+v", k)
		}
		names[k.name] = true
	}
	if len(kinds) != 14 {
		t.Errorf("%d types", len(kinds))
	}
}

func FuzzDecodeTakesAnything(f *testing.F) {
	f.Add("gg18/sign/round3", 3, "", []byte("\x0a\x01x"))
	f.Fuzz(func(t *testing.T, messageType string, round int, to string, payload []byte) {
		alice, _ := parties()
		parsed, err := decode(Message{Type: messageType, Round: round, From: "alice", To: to, Payload: payload}, alice)
		if (parsed == nil) == (err == nil) {
			t.Errorf("%v, %v", parsed, err)
		}
	})
}
