// The interop program runs whole sessions against a router over native gRPC, the way a party written in Go would: with
// stubs made by protoc-gen-go-grpc and nothing of this repository but the contract. It checks every answer, prints a
// line for each thing that was right, and ends with exit code 1 at the first that was not.
//
//	go run . --addr 127.0.0.1:8080
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

// The whole program takes a few seconds; some of them wait for a redelivery.
const programTimeout = 60 * time.Second

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "host and port of the router, without TLS")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
	defer cancel()
	if err := attempt(func() { run(ctx, *addr) }); err != nil {
		fmt.Fprintf(os.Stderr, "FAILED %v\n", err)
		os.Exit(1)
	}
	fmt.Println("ok: everything is as the contract says")
}

func run(ctx context.Context, addr string) {
	coordinator := dial(addr)
	defer coordinator.close()
	checkHealth(ctx, coordinator)
	checkReflection(ctx, coordinator)

	table := seat(ctx, addr, "persistent", "persistent", "persistent")
	defer table.close()
	keygenID := checkKeygen(ctx, coordinator, table)
	checkSigning(ctx, coordinator, table, keygenID)
	checkEvents(ctx, coordinator, table)

	lent := seat(ctx, addr, "persistent", "delegate")
	defer lent.close()
	checkDelegate(ctx, coordinator, lent)
}
