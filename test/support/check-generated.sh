#!/bin/sh
# What is committed as generated must be what the protocols generate.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
check() {
  buf generate --template "$1" --output "$scratch"
  diff -r "$2" "$scratch/$2"
}
check buf.gen.yaml gen
check examples/go-party/buf.gen.yaml examples/go-party/gen
check test/interop/go/buf.gen.yaml test/interop/go/gen
