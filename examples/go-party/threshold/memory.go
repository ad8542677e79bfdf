package threshold

import (
	"context"
	"fmt"
)

// More than a party can have waiting: no protocol has more messages between two.
const memoryCapacity = 1024

// Memory connects the parties of one process by channels, without any router: to test with, and to compare with.
type Memory struct {
	boxes map[string]chan Message
}

// NewMemory makes a box for every party at the table.
func NewMemory(seats []Seat) *Memory {
	boxes := make(map[string]chan Message, len(seats))
	for _, seat := range seats {
		boxes[seat.PartyID] = make(chan Message, memoryCapacity)
	}
	return &Memory{boxes}
}

// Link is the way to the others for one of them.
func (m *Memory) Link(self string) Link { return &memoryLink{self, m.boxes} }

type memoryLink struct {
	self  string
	boxes map[string]chan Message
}

func (l *memoryLink) Send(ctx context.Context, message Message) error {
	for partyID, box := range l.boxes {
		if partyID == l.self || (message.To != "" && message.To != partyID) {
			continue
		}
		select {
		case box <- message:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (l *memoryLink) Receive(ctx context.Context) (Delivery, error) {
	select {
	case message := <-l.boxes[l.self]:
		return Delivery{message, func(error) {}}, nil
	case <-ctx.Done():
		return Delivery{}, fmt.Errorf("no message: %w", context.Cause(ctx))
	}
}
