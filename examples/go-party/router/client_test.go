package router

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

func TestACallIsRepeatedUnderOneKeyUntilItIsAnswered(t *testing.T) {
	var keys []string
	f := &fake{route: func(ctx context.Context, attempt int) error {
		keys = append(keys, sent(ctx, "idempotency-key"))
		switch attempt {
		case 1:
			return status.Error(codes.Unavailable, "going away")
		case 2:
			return refusal(codes.Unavailable, "BROKER_UNAVAILABLE")
		}
		return nil
	}}
	client := f.client(t, Faults{})
	if err := client.Session("s").Send(limited(t), Outgoing{Key: "round1", Payload: []byte{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(keys, []string{"round1", "round1", "round1"}) {
		t.Errorf("the keys were %q", keys)
	}
	if got := client.Figures(); got.Sent != 1 || got.SentBytes != 2 || got.RepeatedCalls != 2 {
		t.Errorf("counted %+v", got)
	}
}

func TestARefusalIsNotRepeated(t *testing.T) {
	f := &fake{route: func(context.Context, int) error {
		return refusal(codes.AlreadyExists, "IDEMPOTENCY_KEY_REUSED")
	}}
	err := f.client(t, Faults{}).Session("s").Send(limited(t), Outgoing{Key: "k"})
	if Reason(err) != "IDEMPOTENCY_KEY_REUSED" || f.attempts["route"] != 1 {
		t.Errorf("%v after %d calls", err, f.attempts["route"])
	}
}

func TestWhatMayBeTriedAgain(t *testing.T) {
	for name, one := range map[string]struct {
		err       error
		transient bool
	}{
		"away":               {status.Error(codes.Unavailable, "connection refused"), true},
		"no store":           {refusal(codes.Unavailable, "BROKER_UNAVAILABLE"), true},
		"cut in the middle":  {status.Error(codes.Internal, "stream terminated by RST_STREAM"), true},
		"cut by the client":  {status.Error(codes.Canceled, "context canceled"), true},
		"too late":           {status.Error(codes.DeadlineExceeded, "context deadline exceeded"), true},
		"a bug":              {status.Error(codes.Internal, "internal error"), false},
		"another took over":  {refusal(codes.Aborted, "SUPERSEDED"), false},
		"too late, for good": {refusal(codes.FailedPrecondition, "SESSION_EXPIRED"), false},
		"not of the wire":    {errors.New("a mistake here"), false},
		"nothing":            {nil, false},
	} {
		if got := isTransient(one.err); got != one.transient {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestPausesGrowUpToALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for attempt := range 100 {
			began := time.Now()
			if err := pause(t.Context(), attempt, nil); err != nil {
				t.Fatal(err)
			}
			most := min(longestPause, firstPause<<min(attempt+1, 10))
			if took := time.Since(began); took < firstPause || took > most {
				t.Errorf("pause %d was %v", attempt, took)
			}
		}
	})
}

func TestEventsGoOnAfterABreakWhereTheyWere(t *testing.T) {
	var lastIDs []string
	f := &fake{events: func(stream grpc.ServerStreamingServer[routerv1.SessionEvent], attempt int) error {
		lastIDs = append(lastIDs, sent(stream.Context(), "last-event-id"))
		for _, id := range [][]string{{"1", "2"}, {"2", "3"}}[attempt-1] {
			if err := stream.Send(&routerv1.SessionEvent{EventId: id}); err != nil {
				return err
			}
		}
		if attempt == 1 {
			return status.Error(codes.Unavailable, "cut")
		}
		<-stream.Context().Done()
		return nil
	}}
	var seen []string
	for event, err := range f.client(t, Faults{}).Events(limited(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, event.GetEventId()); len(seen) == 3 {
			break
		}
	}
	if !slices.Equal(seen, []string{"1", "2", "3"}) || !slices.Equal(lastIDs, []string{"", "2"}) {
		t.Errorf("seen %q, asked after %q", seen, lastIDs)
	}
}

// mail gives messages again and again until they are acknowledged, over streams that the test may cut.
type mail struct {
	mutex  sync.Mutex
	open   []string
	failed []string
}

func (m *mail) acknowledge(request *routerv1.AcknowledgeMessageRequest) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.open = slices.DeleteFunc(m.open, func(id string) bool { return id == request.GetMessageId() })
	if !request.GetSuccess() {
		m.failed = append(m.failed, request.GetErrorMessage())
	}
}

func (m *mail) left() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.open)
}

func (m *mail) deliver(stream grpc.ServerStreamingServer[routerv1.MPCMessage], _ int) error {
	for stream.Context().Err() == nil {
		for _, id := range m.left() {
			if err := stream.Send(&routerv1.MPCMessage{MessageId: id}); err != nil {
				return err
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func TestMessagesComeOnceThroughCutsAndLostAcknowledgements(t *testing.T) {
	m := &mail{open: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}}
	want := m.left()
	f := &fake{messages: m.deliver, acknowledge: m.acknowledge}
	client := f.client(t, Faults{SkipAcknowledgements: 0.5, CutEvery: 3})
	ctx := limited(t)
	inbox := client.Session("s").OpenInbox(ctx)
	defer inbox.Close()
	var seen []string
	for range want {
		message, err := inbox.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, message.GetMessageId())
		inbox.Acknowledge(message.GetMessageId())
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q", seen)
	}
	inbox.Flush()
	for len(m.left()) > 0 {
		if ctx.Err() != nil {
			t.Fatalf("never acknowledged: %q", m.left())
		}
		time.Sleep(time.Millisecond)
	}
	if got := client.Figures(); got.Received != int64(len(want)) || got.Cuts == 0 || got.ReopenedStreams == 0 {
		t.Errorf("counted %+v", got)
	}
}

func TestARefusedMessageIsRefusedForGood(t *testing.T) {
	m := &mail{open: []string{"1"}}
	f := &fake{messages: m.deliver, acknowledge: m.acknowledge}
	ctx := limited(t)
	inbox := f.client(t, Faults{}).Session("s").OpenInbox(ctx)
	defer inbox.Close()
	if _, err := inbox.Next(ctx); err != nil {
		t.Fatal(err)
	}
	inbox.Refuse("1", "no use")
	inbox.Flush()
	if !slices.Equal(m.failed, []string{"permanent: no use"}) {
		t.Errorf("refused with %q", m.failed)
	}
}

func TestAnInboxEndsWhenItsStreamIsOver(t *testing.T) {
	for reason, end := range map[string]error{"SUPERSEDED": refusal(codes.Aborted, "SUPERSEDED"), "": nil} {
		f := &fake{messages: func(stream grpc.ServerStreamingServer[routerv1.MPCMessage], _ int) error {
			if err := stream.Send(&routerv1.MPCMessage{MessageId: "1"}); err != nil {
				return err
			}
			return end
		}}
		ctx := limited(t)
		inbox := f.client(t, Faults{}).Session("s").OpenInbox(ctx)
		defer inbox.Close()
		if _, err := inbox.Next(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := inbox.Next(ctx)
		if Reason(err) != reason || (reason == "" && !errors.Is(err, ErrEnded)) || f.attempts["messages"] != 1 {
			t.Errorf("ended with %v after %d streams", err, f.attempts["messages"])
		}
	}
}

func TestTheOldestIDsAreForgotten(t *testing.T) {
	r := newRecent(2)
	for _, one := range []struct {
		id    string
		isNew bool
	}{{"a", true}, {"a", false}, {"b", true}, {"c", true}, {"b", false}, {"a", true}, {"c", false}, {"b", true}} {
		if r.add(one.id) != one.isNew {
			t.Errorf("%s is new: %t", one.id, !one.isNew)
		}
	}
	if r.has("c") || !r.has("b") || len(r.known) != 2 {
		t.Errorf("known are %v", r.known)
	}
}
