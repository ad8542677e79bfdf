package main

import (
	"context"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// readCompose resolves a compose file as `docker compose --env-file` does: schema, anchors, variables, defaults.
func readCompose(ctx context.Context, path, envPath string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{path},
		cli.WithEnvFiles(envPath), cli.WithDotEnv, cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}
