package threshold

import (
	"errors"
	"fmt"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Message is one of the protocol's, as it travels.
type Message struct {
	// Type is a name of the table below.
	Type  string
	Round int
	From  string
	// To is empty for a broadcast.
	To string
	// Payload is tss-lib's own encoding, a google.protobuf.Any.
	Payload []byte
}

// kind is what is known of a type of message.
type kind struct {
	content   proto.Message
	name      string
	round     int
	broadcast bool
}

// The messages of both protocols. What is not in the table is not for this program: tss-lib would drop some of it without
// a word, and wait for ever after a message that came the wrong way.
var kinds = byContent([]kind{
	{&keygen.KGRound1Message{}, "gg18/keygen/round1", 1, true},
	{&keygen.KGRound2Message1{}, "gg18/keygen/round2-share", 2, false},
	{&keygen.KGRound2Message2{}, "gg18/keygen/round2", 2, true},
	{&keygen.KGRound3Message{}, "gg18/keygen/round3", 3, true},
	{&signing.SignRound1Message1{}, "gg18/sign/round1-mta", 1, false},
	{&signing.SignRound1Message2{}, "gg18/sign/round1", 1, true},
	{&signing.SignRound2Message{}, "gg18/sign/round2-mta", 2, false},
	{&signing.SignRound3Message{}, "gg18/sign/round3", 3, true},
	{&signing.SignRound4Message{}, "gg18/sign/round4", 4, true},
	{&signing.SignRound5Message{}, "gg18/sign/round5", 5, true},
	{&signing.SignRound6Message{}, "gg18/sign/round6", 6, true},
	{&signing.SignRound7Message{}, "gg18/sign/round7", 7, true},
	{&signing.SignRound8Message{}, "gg18/sign/round8", 8, true},
	{&signing.SignRound9Message{}, "gg18/sign/round9", 9, true},
})

func byContent(all []kind) map[protoreflect.FullName]kind {
	named := make(map[protoreflect.FullName]kind, len(all))
	for _, k := range all {
		named[proto.MessageName(k.content)] = k
	}
	return named
}

// encode makes what travels of what tss-lib gave out.
func encode(from tss.Message) (Message, error) {
	k, known := kinds[protoreflect.FullName(from.Type())]
	if !known {
		return Message{}, fmt.Errorf("tss-lib sends a %s, which is not known here", from.Type())
	}
	payload, _, err := from.WireBytes()
	if err != nil {
		return Message{}, fmt.Errorf("encode %s: %w", k.name, err)
	}
	m := Message{Type: k.name, Round: k.round, From: from.GetFrom().GetId(), Payload: payload}
	to := from.GetTo()
	switch {
	case from.IsBroadcast() != k.broadcast || (!k.broadcast && len(to) != 1):
		return Message{}, fmt.Errorf("tss-lib sends a %s to %d parties", k.name, len(to))
	case !k.broadcast:
		m.To = to[0].GetId()
	}
	return m, nil
}

// decode makes what tss-lib takes of what came, if the message is what it says and came the way it must.
func decode(m Message, from *tss.PartyID) (tss.ParsedMessage, error) {
	broadcast := m.To == ""
	parsed, err := tss.ParseWireMessage(m.Payload, from, broadcast)
	if err != nil {
		return nil, errors.New("the payload is no message of tss-lib")
	}
	k, known := kinds[proto.MessageName(parsed.Content())]
	if !known || k.name != m.Type || k.round != m.Round {
		return nil, fmt.Errorf("the payload is not a %q of round %d", m.Type, m.Round)
	}
	if k.broadcast != broadcast {
		return nil, fmt.Errorf("%s came the wrong way: broadcast is %t", k.name, broadcast)
	}
	return parsed, nil
}
