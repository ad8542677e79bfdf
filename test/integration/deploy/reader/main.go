// Reads deployment files with the parsers of the tools that they are for, and prints what these make of them as JSON.
//
//	reader compose FILE ENV_FILE
//	reader dockerfile FILE
//	reader kubernetes DIRECTORY
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	read, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(read); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) (any, error) {
	switch {
	case len(args) == 3 && args[0] == "compose":
		return readCompose(context.Background(), args[1], args[2])
	case len(args) == 2 && args[0] == "dockerfile":
		return readDockerfile(args[1])
	case len(args) == 2 && args[0] == "kubernetes":
		return readManifests(args[1])
	}
	return nil, fmt.Errorf("usage: reader compose FILE ENV_FILE | dockerfile FILE | kubernetes DIRECTORY")
}
