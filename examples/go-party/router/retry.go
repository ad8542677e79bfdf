package router

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// The router answers or refuses within 2.5 s; an attempt that takes longer is lost.
	attemptTimeout = 5 * time.Second

	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second

	errorDomain = "mpc.router"
)

// Reason is the stable word of a refusal, such as SESSION_EXPIRED, or empty if the error is not one of the router's.
func Reason(err error) string {
	for _, detail := range detailsOf(err) {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			return info.GetReason()
		}
	}
	return ""
}

// call makes a call until it is answered or refused. The call must be one that may be repeated.
func call[Q, A any](
	ctx context.Context,
	traffic *traffic,
	method func(context.Context, Q) (A, error),
	request Q,
) (A, error) {
	for attempt := 0; ; attempt++ {
		limited, cancel := context.WithTimeout(ctx, attemptTimeout)
		answer, err := method(limited, request)
		cancel()
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return answer, context.Cause(ctx)
		}
		if !isTransient(err) {
			return answer, err
		}
		traffic.repeatedCalls.Add(1)
		if err := pause(ctx, attempt, err); err != nil {
			return answer, err
		}
	}
}

// isTransient tells whether the same call may succeed later: the router is away, restarting, at a limit that passes, or
// the connection broke. A refusal is an answer, and so is the "internal error" of a router with a bug.
func isTransient(err error) bool {
	if retryAfter(err) > 0 {
		return true
	}
	switch failure := status.Convert(err); failure.Code() {
	case codes.Unavailable:
		return true
	case codes.Internal, codes.Unknown, codes.Canceled, codes.DeadlineExceeded:
		// How a cut stream shows up, depending on where it was cut.
		return Reason(err) == "" && failure.Message() != "internal error" && isStatus(err)
	default:
		return false
	}
}

// isStatus is false for errors that never were on the wire.
func isStatus(err error) bool {
	var wire interface{ GRPCStatus() *status.Status }
	return errors.As(err, &wire)
}

// retryAfter is how long the router asks to wait; 0 if it does not.
func retryAfter(err error) time.Duration {
	for _, detail := range detailsOf(err) {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

func detailsOf(err error) []any {
	if err == nil {
		return nil
	}
	return status.Convert(err).Details()
}

// pause waits longer with each attempt (from 0), and at random, so that parties do not all come back at one moment.
func pause(ctx context.Context, attempt int, because error) error {
	most := min(longestPause, firstPause<<min(attempt+1, 10))
	wait := firstPause + rand.N(most-firstPause+1)
	timer := time.NewTimer(max(wait, min(retryAfter(because), longestPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
