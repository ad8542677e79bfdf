package threshold

import (
	"context"
	"fmt"
	"sync"

	"github.com/bnb-chain/tss-lib/v2/tss"
)

// Link carries a party's messages of one run. It is used by one run only.
type Link interface {
	// Send returns when the message is safely on its way to everybody it is for. Several calls run at a time: the
	// protocol needs no order.
	Send(ctx context.Context, message Message) error
	// Receive waits for the next message. The run settles it before it receives another.
	Receive(ctx context.Context) (Delivery, error)
}

// Delivery is a message that came.
type Delivery struct {
	Message
	// Settle says what became of it: nil if it was processed. An error is final: the message will never be of use.
	Settle func(err error)
}

// protocol is a protocol of tss-lib that ends in an R.
type protocol[R any] func(params *tss.Parameters, out chan<- tss.Message, end chan<- R) tss.Party

// run takes a party through a protocol, message by message, and returns when everything it has to say is on its way.
func run[R any](ctx context.Context, table *Table, link Link, begin protocol[R]) (result R, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	out := make(chan tss.Message, table.shares)
	end := make(chan R, 1)
	params := table.parameters()
	r := &receiver{party: begin(params, out, end), table: table, ids: params.Parties().IDs(), known: make(map[string]bool)}

	var sending sync.WaitGroup
	sending.Go(func() { sendAll(ctx, link, out, fail) })
	defer func() {
		// The others need what this party said last, even though it has its own result.
		close(out)
		sending.Wait()
		if err == nil {
			err = context.Cause(ctx)
		}
	}()
	// Before anything is received: what tss-lib is given before its start does not move it on.
	if failure := r.party.Start(); failure != nil {
		return result, failure
	}
	for {
		delivery, err := link.Receive(ctx)
		if err != nil {
			return result, err
		}
		err = r.take(delivery.Message)
		delivery.Settle(err)
		if err != nil {
			return result, err
		}
		select {
		case result = <-end:
			return result, nil
		default:
		}
	}
}

// receiver gives a party of tss-lib its messages, and keeps from it what it is not made for.
type receiver struct {
	party tss.Party
	table *Table
	ids   tss.SortedPartyIDs
	known map[string]bool
}

// take has a message processed, which may be the work of seconds.
func (r *receiver) take(m Message) error {
	position, seated := r.table.position(m.From)
	if !seated || position == r.table.self {
		return fmt.Errorf("a message of %q, who is not another party of this run", m.From)
	}
	// tss-lib would put the second in the place of the first.
	once := m.Type + " " + m.From
	if r.known[once] {
		return fmt.Errorf("a second %s of %s", m.Type, m.From)
	}
	r.known[once] = true
	parsed, err := decode(m, r.ids[position])
	if err != nil {
		return fmt.Errorf("a message of %s: %w", m.From, err)
	}
	if _, failure := r.party.Update(parsed); failure != nil {
		return failure
	}
	return nil
}

// sendAll sends until out is closed. It reads on after a failure, so that tss-lib never waits for a reader.
func sendAll(ctx context.Context, link Link, out <-chan tss.Message, fail context.CancelCauseFunc) {
	var sending sync.WaitGroup
	defer sending.Wait()
	for message := range out {
		encoded, err := encode(message)
		if err != nil {
			fail(err)
			continue
		}
		sending.Go(func() {
			if err := link.Send(ctx, encoded); err != nil {
				fail(fmt.Errorf("send %s: %w", encoded.Type, err))
			}
		})
	}
}
