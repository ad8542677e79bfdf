package party

import (
	"context"
	"log/slog"
	"strconv"

	"mpc-router/go-party/router"
	"mpc-router/go-party/seal"
	"mpc-router/go-party/threshold"
)

// Peers are the public identities of the other parties, by their ids.
type Peers map[string]*seal.Public

// mail is the link of a run through the router. The router sees who writes to whom, and nothing of what.
type mail struct {
	session  *router.Session
	inbox    *router.Inbox
	identity *seal.Identity
	peers    Peers
	indexes  map[string]int
	place    place
	log      *slog.Logger
}

// place is what all messages of a run have in common.
type place struct {
	sessionID string
	self      string
	publicKey string
}

// Send returns when the message is durable for everybody it is for.
func (m *mail) Send(ctx context.Context, message threshold.Message) error {
	header := m.header(m.place.self, message.To, message.Round, message.Type)
	payload, err := m.identity.Seal(header, m.peers[message.To], message.Payload)
	if err != nil {
		return err
	}
	outgoing := router.Outgoing{Key: message.Type + "/all", Round: message.Round, Type: message.Type, Payload: payload}
	if message.To != "" {
		outgoing.Key = message.Type + "/" + strconv.Itoa(m.indexes[message.To])
		outgoing.To = []string{message.To}
	}
	return m.session.Send(ctx, outgoing)
}

// Receive passes over what is not genuine, so that nobody who can only write to the router ends a run.
func (m *mail) Receive(ctx context.Context) (threshold.Delivery, error) {
	for {
		received, err := m.inbox.Next(ctx)
		if err != nil {
			return threshold.Delivery{}, err
		}
		id := received.GetMessageId()
		message := threshold.Message{
			Type: received.GetMessageType(), Round: int(received.GetRoundNumber()), From: received.GetFromParty(),
		}
		if !received.GetIsBroadcast() {
			message.To = m.place.self
		}
		header := m.header(message.From, message.To, message.Round, message.Type)
		message.Payload, err = m.open(header, received.GetPayload())
		if err != nil {
			m.log.Warn("a message is refused", "from", message.From, "message", id, "error", err)
			m.inbox.Refuse(id, "not genuine")
			continue
		}
		return threshold.Delivery{Message: message, Settle: func(err error) { m.settle(id, err) }}, nil
	}
}

func (m *mail) open(header seal.Header, payload []byte) ([]byte, error) {
	sender, known := m.peers[header.From]
	if !known {
		return nil, errUnknownPeer
	}
	return m.identity.Open(header, sender, payload)
}

func (m *mail) settle(messageID string, err error) {
	if err == nil {
		m.inbox.Acknowledge(messageID)
	} else {
		m.inbox.Refuse(messageID, "does not fit the protocol")
	}
}

func (m *mail) header(from, to string, round int, messageType string) seal.Header {
	return seal.Header{
		SessionID: m.place.sessionID, Key: m.place.publicKey, From: from, To: to, Round: round, Type: messageType,
	}
}
