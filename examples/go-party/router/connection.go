// Package router is a client of the MPC router over native gRPC. What it calls is answered or refused in the end,
// however often connections break and routers restart meanwhile; what it reads it reads once.
package router

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	coordinatorv1 "mpc-router/go-party/gen/mpc/coordinator/v1"
	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

// The largest payload a router can be set to, and room for its headers.
const maxMessageBytes = 9 << 20

// Connection is one HTTP/2 connection to a router, which is made again when it breaks.
type Connection struct {
	conn        *grpc.ClientConn
	router      routerv1.MessageRouterClient
	coordinator coordinatorv1.SessionCoordinatorClient
	traffic     traffic
}

// Connect prepares a connection to "host:port".
func Connect(addr string, access Access, options ...grpc.DialOption) (*Connection, error) {
	defaults := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.5, MaxDelay: longestPause},
			MinConnectTimeout: attemptTimeout,
		}),
		// Without it a connection that died in silence would be noticed by nobody.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.WaitForReady(true)),
	}
	defaults = append(defaults, access.options()...)
	conn, err := grpc.NewClient(addr, append(defaults, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return &Connection{
		conn:        conn,
		router:      routerv1.NewMessageRouterClient(conn),
		coordinator: coordinatorv1.NewSessionCoordinatorClient(conn),
	}, nil
}

// Close ends the connection, and with it every call.
func (c *Connection) Close() error { return c.conn.Close() }

// Figures are what the connection has carried so far.
func (c *Connection) Figures() Figures { return c.traffic.figures() }
