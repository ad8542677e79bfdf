package router

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

func TestAStreamThatEndsWithItsTokenGoesOnWithTheNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("first")
	var shown []string
	f := &fake{events: func(stream grpc.ServerStreamingServer[routerv1.SessionEvent], attempt int) error {
		shown = append(shown, sent(stream.Context(), "authorization"))
		if attempt > 2 {
			return status.Error(codes.Unauthenticated, "the token is not accepted")
		}
		if err := stream.SendHeader(metadata.Pairs("x-open", "1")); err != nil {
			return err
		}
		write("second")
		return status.Error(codes.Unauthenticated, "the token has expired")
	}}
	var failure error
	for _, err := range f.clientWith(t, Access{TokenFile: file}, Faults{}).Events(limited(t)) {
		failure = err
	}
	if status.Code(failure) != codes.Unauthenticated {
		t.Errorf("ended with %v", failure)
	}
	if !slices.Equal(shown, []string{"Bearer first", "Bearer second", "Bearer second"}) {
		t.Errorf("showed %q", shown)
	}
}
