package router

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The router sends the headers of a stream at once; a stream without them is a dead connection.
const headersTimeout = 5 * time.Second

// source is a stream that is opened again whenever it breaks.
type source[T any] struct {
	open func(context.Context) (grpc.ServerStreamingClient[T], error)
	// cut is asked after each item whether to cut the stream there; nil never does.
	cut     func() bool
	traffic *traffic
}

// all yields what the stream gives, over all its openings, until the router ends it well. What was given before may come
// again after a break. A refusal is yielded last.
func (s source[T]) all(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for attempt := 0; ; attempt++ {
			opened, more, err := s.once(ctx, yield)
			switch {
			case !more || errors.Is(err, io.EOF):
				return
			case ctx.Err() != nil:
				yield(nil, context.Cause(ctx))
				return
			// A stream ends with its token, too, and the next token may be there already.
			case !isTransient(err) && !(opened && status.Code(err) == codes.Unauthenticated):
				yield(nil, err)
				return
			}
			if opened {
				attempt = 0
			}
			s.traffic.reopenedStreams.Add(1)
			if err := pause(ctx, attempt, err); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// once opens the stream and yields what it gives until it breaks; more is false when the reader has seen enough.
func (s source[T]) once(ctx context.Context, yield func(*T, error) bool) (opened, more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(headersTimeout, cancel)
	defer late.Stop()
	stream, err := s.open(ctx)
	if err != nil {
		return false, true, err
	}
	// If this fails, the cause is what Recv returns.
	headers, _ := stream.Header()
	opened = len(headers) > 0
	late.Stop()
	for {
		item, err := stream.Recv()
		if err != nil {
			return opened, true, err
		}
		if !yield(item, nil) {
			return opened, false, nil
		}
		if s.cut != nil && s.cut() {
			s.traffic.cuts.Add(1)
			cancel()
		}
	}
}
