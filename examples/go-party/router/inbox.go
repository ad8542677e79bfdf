package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

const (
	// No stream has more messages that are not acknowledged.
	inboxCapacity = 1024

	// Messages of one session that may come again.
	rememberedMessages = 16_384

	// Nobody waits for an acknowledgement, and everybody for the next round: so it gives way.
	acknowledgementDelay = 50 * time.Millisecond
)

// ErrEnded is what an inbox ends with when its session has.
var ErrEnded = errors.New("the session has ended")

// Inbox is a party's mail in one session. Each message is given once; it is the router's until it is settled.
type Inbox struct {
	session *Session
	queue   chan *routerv1.MPCMessage
	// failure is set before the queue is closed.
	failure error
	// ctx ends with the inbox, and with it the calls in the background.
	ctx          context.Context
	stop         context.CancelFunc
	reading      sync.WaitGroup
	settling     sync.WaitGroup
	acknowledged *recent
	// hurried is closed by hurry, when there is nothing left to give way to.
	hurried chan struct{}
	hurry   func()
}

// OpenInbox subscribes to the messages of a session that the party has joined. There must be one at a time.
func (s *Session) OpenInbox(ctx context.Context) *Inbox {
	ctx, stop := context.WithCancel(ctx)
	hurried := make(chan struct{})
	inbox := &Inbox{
		session:      s,
		queue:        make(chan *routerv1.MPCMessage, inboxCapacity),
		ctx:          ctx,
		stop:         stop,
		acknowledged: newRecent(rememberedMessages),
		hurried:      hurried,
		hurry:        sync.OnceFunc(func() { close(hurried) }),
	}
	inbox.reading.Go(inbox.read)
	return inbox
}

// Next waits for a message that was not given before. The error is a refusal such as SUPERSEDED, ErrEnded, or the
// context's.
func (b *Inbox) Next(ctx context.Context) (*routerv1.MPCMessage, error) {
	select {
	case message, open := <-b.queue:
		if !open {
			return nil, b.failure
		}
		return message, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Acknowledge says that a message was processed. It does not wait for the answer; Flush does.
func (b *Inbox) Acknowledge(messageID string) {
	b.acknowledged.add(messageID)
	b.settling.Go(func() {
		select {
		case <-time.After(acknowledgementDelay):
		case <-b.hurried:
		case <-b.ctx.Done():
		}
		b.acknowledge(messageID)
	})
}

// Refuse says that a message will never be of use. The router gives it up and tells the sender.
func (b *Inbox) Refuse(messageID, reason string) {
	b.settling.Go(func() { b.settle(messageID, "permanent: "+reason) })
}

// Flush waits until the router has answered all that the reader has settled. It is for a reader that has all it wants.
func (b *Inbox) Flush() {
	b.hurry()
	b.settling.Wait()
}

// Close ends the stream. What the router has not answered yet stays open.
func (b *Inbox) Close() {
	b.stop()
	b.reading.Wait()
	b.settling.Wait()
}

func (b *Inbox) read() {
	defer close(b.queue)
	client := b.session.client
	seen := newRecent(rememberedMessages)
	messages := source[routerv1.MPCMessage]{
		open: func(ctx context.Context) (grpc.ServerStreamingClient[routerv1.MPCMessage], error) {
			request := &routerv1.SubscribeMessagesRequest{SessionId: b.session.id, PartyId: client.self.PartyID}
			return client.router.SubscribeMessages(ctx, request)
		},
		cut:     client.self.Faults.cutter(),
		traffic: &client.traffic,
	}
	b.failure = ErrEnded
	for message, err := range messages.all(b.ctx) {
		if err != nil {
			b.failure = err
			return
		}
		if id := message.GetMessageId(); !seen.add(id) {
			b.again(id)
			continue
		}
		client.traffic.received.Add(1)
		select {
		case b.queue <- message:
		case <-b.ctx.Done():
			b.failure = context.Cause(b.ctx)
			return
		}
	}
}

// again handles a message that was given before. If it is acknowledged, that did not reach the router, or crossed this
// delivery; else it waits for its reader.
func (b *Inbox) again(messageID string) {
	b.session.client.traffic.redelivered.Add(1)
	if b.acknowledged.has(messageID) {
		b.reading.Go(func() { b.acknowledge(messageID) })
	}
}

func (b *Inbox) acknowledge(messageID string) {
	if client := b.session.client; client.self.Faults.skipsAcknowledgement() {
		client.traffic.skippedAcknowledgements.Add(1)
		return
	}
	b.settle(messageID, "")
}

func (b *Inbox) settle(messageID, refusal string) {
	client := b.session.client
	_, err := call(b.ctx, &client.traffic, unary(client.router.AcknowledgeMessage), &routerv1.AcknowledgeMessageRequest{
		SessionId: b.session.id, PartyId: client.self.PartyID, MessageId: messageID,
		Success: refusal == "", ErrorMessage: refusal,
	})
	if err == nil {
		client.traffic.acknowledgements.Add(1)
	} else if b.ctx.Err() == nil {
		client.log.Warn("not acknowledged", "session", b.session.id, "message", messageID, "error", err)
	}
}
