package router

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	coordinatorv1 "mpc-router/go-party/gen/mpc/coordinator/v1"
)

// Coordinator is the control plane's way to the router: a wallet's backend has it, parties do not.
type Coordinator struct{ *Connection }

// NewCoordinator uses a connection for the control plane.
func NewCoordinator(connection *Connection) *Coordinator { return &Coordinator{connection} }

// Create makes a session. The request needs a request_id, for then it is safe to repeat.
func (c *Coordinator) Create(ctx context.Context, request *coordinatorv1.CreateSessionRequest) (*coordinatorv1.Session, error) {
	answer, err := call(ctx, &c.traffic, unary(c.coordinator.CreateSession), request)
	return answer.GetSession(), err
}

// Await watches a session until it is completed, and returns it as it is then.
func (c *Coordinator) Await(ctx context.Context, sessionID string) (*coordinatorv1.Session, error) {
	changes := source[coordinatorv1.Session]{
		open: func(ctx context.Context) (grpc.ServerStreamingClient[coordinatorv1.Session], error) {
			return c.coordinator.WatchSession(ctx, &coordinatorv1.WatchSessionRequest{SessionId: sessionID})
		},
		traffic: &c.traffic,
	}
	status := "never seen"
	for session, err := range changes.all(ctx) {
		if err != nil {
			return nil, err
		}
		if status = session.GetStatus(); status == "completed" {
			return session, nil
		}
		if status == "failed" {
			status += ": " + session.GetFailureReason()
		}
	}
	return nil, fmt.Errorf("session %s ended as %s", sessionID, status)
}
