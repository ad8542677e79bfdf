package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const errorDomain = "mpc.router"

// deviation is what a check panics with, to leave the whole step at once; attempt turns it into an error.
type deviation struct{ error }

// attempt runs a function and returns the deviation that ended it, or nil.
func attempt(action func()) (err error) {
	defer func() {
		caught := recover()
		if caught == nil {
			return
		}
		found, ok := caught.(deviation)
		if !ok {
			panic(caught)
		}
		err = found
	}()
	action()
	return nil
}

// step runs one part of the program and says that it went well, or that it did not.
func step(name string, action func()) {
	if err := attempt(action); err != nil {
		panic(deviation{fmt.Errorf("%s: %w", name, err)})
	}
	fmt.Println("ok:", name)
}

// together runs the action of every party at the same time and waits for all of them.
func together(parties []*party, action func(p *party)) {
	errs := make([]error, len(parties))
	var running sync.WaitGroup
	for i, p := range parties {
		running.Go(func() {
			if err := attempt(func() { action(p) }); err != nil {
				errs[i] = fmt.Errorf("%s: %w", p.id, err)
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		panic(deviation{err})
	}
}

// require ends the step unless ok; the message says what was expected.
func require(ok bool, format string, args ...any) {
	if !ok {
		panic(deviation{fmt.Errorf("%s: %s", caller(), fmt.Sprintf(format, args...))})
	}
}

// equal ends the step unless the two are the same.
func equal[T comparable](what string, got, want T) {
	if got != want {
		panic(deviation{fmt.Errorf("%s: %s is %v instead of %v", caller(), what, got, want)})
	}
}

// answer is the answer of a call that must succeed.
func answer[T any](value T, err error) T {
	if err != nil {
		panic(deviation{fmt.Errorf("%s: %w", caller(), err)})
	}
	return value
}

// errorOf is the error of a call that must fail.
func errorOf[T any](_ T, err error) error { return err }

// refused ends the step unless the error is a refusal with this code and this reason: in the details, where programs
// read it, and as the first word of the message, where people do.
func refused(code codes.Code, reason string, err error) {
	fail := func(format string, args ...any) {
		panic(deviation{fmt.Errorf("%s: %s", caller(), fmt.Sprintf(format, args...))})
	}
	if err == nil {
		fail("succeeded instead of %v %s", code, reason)
	}
	got := status.Convert(err)
	if got.Code() != code {
		fail("was refused with %v (%s) instead of %v %s", got.Code(), got.Message(), code, reason)
	}
	if !strings.HasPrefix(got.Message(), reason+": ") {
		fail("the message %q does not open with %s", got.Message(), reason)
	}
	for _, detail := range got.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if ok && info.GetReason() == reason && info.GetDomain() == errorDomain {
			return
		}
	}
	fail("%q has no ErrorInfo with reason %s of %s: %v", got.Message(), reason, errorDomain, got.Details())
}

// caller is the line of the program that called a check.
func caller() string {
	for depth := 2; ; depth++ {
		_, file, line, ok := runtime.Caller(depth)
		name := filepath.Base(file)
		if !ok || (name != "check.go" && name != "feed.go") {
			return fmt.Sprintf("%s:%d", name, line)
		}
	}
}
