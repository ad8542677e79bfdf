package party

import (
	"context"
	"fmt"
	"sync"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

// course is what the events have said of a session so far.
type course struct {
	started, completed step
	fail               context.CancelCauseFunc
}

// step is something that happens once, however often it is said.
type step struct {
	happened chan struct{}
	happens  func()
}

func newStep() step {
	happened := make(chan struct{})
	return step{happened, sync.OnceFunc(func() { close(happened) })}
}

func newCourse(fail context.CancelCauseFunc) *course {
	return &course{newStep(), newStep(), fail}
}

// follow takes the session's next event.
func (c *course) follow(event *routerv1.SessionEvent) {
	switch event.GetEventType() {
	case "session_started":
		c.started.happens()
	case "session_completed":
		c.completed.happens()
	case "session_failed", "session_expired":
		c.fail(fmt.Errorf("%s (%s)", event.GetEventType(), event.GetEventId()))
	case "message_failed":
		c.fail(fmt.Errorf("another party gave up a message of this one (%s)", event.GetEventId()))
	}
}

// wait returns when the step has happened, or cannot any more.
func (s step) wait(ctx context.Context) error {
	select {
	case <-s.happened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
