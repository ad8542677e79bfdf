package main

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// The longest that anything may take which the router does of its own accord.
const promptly = 2 * time.Second

// More than any step sends to one party.
const feedCapacity = 256

// feed is an open stream of the router, read in the background.
type feed[T any] struct {
	items chan *T
	ended chan error
}

// open waits for the headers of the stream, which must come before and without any message, and starts to read it.
func open[T any](stream grpc.ServerStreamingClient[T], err error) *feed[T] {
	answer(stream, err)
	arrived := make(chan error, 1)
	go func() {
		_, headerErr := stream.Header()
		arrived <- headerErr
	}()
	select {
	case headerErr := <-arrived:
		answer(stream, headerErr)
	case <-time.After(promptly):
		require(false, "the headers of the stream have not come within %v", promptly)
	}
	f := &feed[T]{items: make(chan *T, feedCapacity), ended: make(chan error, 1)}
	go f.read(stream)
	return f
}

func (f *feed[T]) read(stream grpc.ServerStreamingClient[T]) {
	for {
		item, err := stream.Recv()
		if err != nil {
			close(f.items)
			f.ended <- err
			return
		}
		f.items <- item
	}
}

// next is what the stream gives next.
func (f *feed[T]) next() *T { return f.nextWithin(promptly) }

func (f *feed[T]) nextWithin(limit time.Duration) *T {
	select {
	case item, ok := <-f.items:
		if !ok {
			require(false, "the stream ended: %v", <-f.ended)
		}
		return item
	case <-time.After(limit):
		require(false, "the stream has been silent for %v", limit)
	}
	return nil
}

// until passes over what comes before the item that is wanted.
func (f *feed[T]) until(wanted func(*T) bool) *T {
	for {
		if item := f.next(); wanted(item) {
			return item
		}
	}
}

// endsWell waits for the router to end the stream with OK, and returns what it still gave.
func (f *feed[T]) endsWell() []*T {
	rest, err := f.end()
	require(errors.Is(err, io.EOF), "the stream ended with %v instead of OK", err)
	return rest
}

// endsRefused waits for the router to end the stream with an error.
func (f *feed[T]) endsRefused(code codes.Code, reason string) {
	_, err := f.end()
	refused(code, reason, err)
}

func (f *feed[T]) end() (rest []*T, err error) {
	limit := time.After(promptly)
	for {
		select {
		case item, ok := <-f.items:
			if !ok {
				return rest, <-f.ended
			}
			rest = append(rest, item)
		case <-limit:
			require(false, "the stream has not ended within %v", promptly)
		}
	}
}
