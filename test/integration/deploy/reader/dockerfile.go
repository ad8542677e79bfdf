package main

import (
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

type dockerfile struct {
	Stages []stage
	// What the linter of the image builder has to say.
	Warnings []string
}

type stage struct {
	Name, Base string
	Steps      []step
}

// step is one instruction, with only the fields that it has.
type step struct {
	Do        string
	Command   []string          `json:",omitempty"`
	InShell   bool              `json:",omitempty"`
	Sources   []string          `json:",omitempty"`
	Target    string            `json:",omitempty"`
	From      string            `json:",omitempty"`
	Value     string            `json:",omitempty"`
	Variables map[string]string `json:",omitempty"`
}

func readDockerfile(path string) (*dockerfile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	read := &dockerfile{Stages: []stage{}, Warnings: []string{}}
	for _, warning := range parsed.Warnings {
		read.Warnings = append(read.Warnings, warning.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(name, _, _, text string, _ []parser.Range) {
		read.Warnings = append(read.Warnings, name+": "+text)
	}})
	stages, arguments, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		return nil, err
	}
	words := shell.NewLex(parsed.EscapeToken)
	defaults := []string{}
	for _, argument := range arguments {
		for _, pair := range argument.Args {
			defaults = append(defaults, pair.Key+"="+pair.ValueString())
		}
	}
	for _, parsedStage := range stages {
		base, _, err := words.ProcessWord(parsedStage.BaseName, shell.EnvsFromSlice(defaults))
		if err != nil {
			return nil, err
		}
		read.Stages = append(read.Stages, stage{Name: parsedStage.Name, Base: base, Steps: []step{}})
		last := &read.Stages[len(read.Stages)-1]
		for _, command := range parsedStage.Commands {
			taken, err := stepOf(command)
			if err != nil {
				return nil, err
			}
			last.Steps = append(last.Steps, taken)
		}
	}
	return read, nil
}

func stepOf(command instructions.Command) (step, error) {
	taken := step{Do: command.Name()}
	switch c := command.(type) {
	case *instructions.WorkdirCommand:
		taken.Value = c.Path
	case *instructions.RunCommand:
		taken.Command, taken.InShell = c.CmdLine, c.PrependShell
	case *instructions.CopyCommand:
		taken.Sources, taken.Target, taken.From = c.SourcePaths, c.DestPath, c.From
	case *instructions.EnvCommand:
		taken.Variables = map[string]string{}
		for _, pair := range c.Env {
			taken.Variables[pair.Key] = pair.Value
		}
	case *instructions.UserCommand:
		taken.Value = c.User
	case *instructions.ExposeCommand:
		taken.Sources = c.Ports
	case *instructions.StopSignalCommand:
		taken.Value = c.Signal
	case *instructions.HealthCheckCommand:
		taken.Command = c.Health.Test
	case *instructions.EntrypointCommand:
		taken.Command, taken.InShell = c.CmdLine, c.PrependShell
	default:
		return taken, fmt.Errorf("this reader knows no %s", command.Name())
	}
	return taken, nil
}
