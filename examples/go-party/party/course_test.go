package party

import (
	"context"
	"strings"
	"testing"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

func TestACourseFollowsItsEvents(t *testing.T) {
	ctx, fail := context.WithCancelCause(t.Context())
	c := newCourse(fail)
	for _, eventType := range []string{"party_joined", "session_started", "session_started", "session_completed", "unheard_of"} {
		c.follow(&routerv1.SessionEvent{EventType: eventType})
	}
	if err := c.started.wait(ctx); err != nil {
		t.Error(err)
	}
	if err := c.completed.wait(ctx); err != nil {
		t.Error(err)
	}
}

func TestACourseEndsWhenItsSessionDoesOrAMessageIsGivenUp(t *testing.T) {
	for _, eventType := range []string{"session_failed", "session_expired", "message_failed"} {
		ctx, fail := context.WithCancelCause(t.Context())
		c := newCourse(fail)
		c.follow(&routerv1.SessionEvent{EventType: eventType, EventId: "h-" + eventType})
		if err := c.started.wait(ctx); err == nil || !strings.Contains(err.Error(), "h-"+eventType) {
			t.Errorf("%s: %v", eventType, err)
		}
	}
}
