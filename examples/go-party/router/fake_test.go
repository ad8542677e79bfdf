package router

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

// fake is a router that does what a test tells it.
type fake struct {
	routerv1.UnimplementedMessageRouterServer
	route       func(ctx context.Context, attempt int) error
	messages    func(stream grpc.ServerStreamingServer[routerv1.MPCMessage], attempt int) error
	events      func(stream grpc.ServerStreamingServer[routerv1.SessionEvent], attempt int) error
	acknowledge func(request *routerv1.AcknowledgeMessageRequest)

	mutex    sync.Mutex
	attempts map[string]int
}

func (f *fake) attempt(method string) int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.attempts[method]++
	return f.attempts[method]
}

func (f *fake) RouteMessage(ctx context.Context, _ *routerv1.RouteMessageRequest) (*routerv1.RouteMessageResponse, error) {
	return &routerv1.RouteMessageResponse{Success: true}, f.route(ctx, f.attempt("route"))
}

func (f *fake) SubscribeMessages(
	_ *routerv1.SubscribeMessagesRequest, stream grpc.ServerStreamingServer[routerv1.MPCMessage],
) error {
	return f.messages(stream, f.attempt("messages"))
}

func (f *fake) SubscribeSessionEvents(
	_ *routerv1.SubscribeSessionEventsRequest, stream grpc.ServerStreamingServer[routerv1.SessionEvent],
) error {
	return f.events(stream, f.attempt("events"))
}

func (f *fake) AcknowledgeMessage(
	_ context.Context, request *routerv1.AcknowledgeMessageRequest,
) (*routerv1.AcknowledgeMessageResponse, error) {
	f.acknowledge(request)
	return &routerv1.AcknowledgeMessageResponse{Success: true}, nil
}

// client is a client of the fake router.
func (f *fake) client(t *testing.T, faults Faults) *Client {
	t.Helper()
	return f.clientWith(t, Access{}, faults)
}

func (f *fake) clientWith(t *testing.T, access Access, faults Faults) *Client {
	t.Helper()
	f.attempts = make(map[string]int)
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	routerv1.RegisterMessageRouterServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := Connect("passthrough:///fake", access, grpc.WithContextDialer(
		func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return NewClient(connection, Self{PartyID: "alice", Faults: faults}, slog.New(slog.DiscardHandler))
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// refusal is an error as the router makes it.
func refusal(code codes.Code, reason string) error {
	made, err := status.New(code, reason+": no").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
	if err != nil {
		return err
	}
	return made.Err()
}

func sent(ctx context.Context, name string) string {
	values := metadata.ValueFromIncomingContext(ctx, name)
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
