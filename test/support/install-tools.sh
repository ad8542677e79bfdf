#!/bin/sh
# The programs that tests use and npm cannot bring. Where they are missing and the package manager may be used, it is.
set -eu
missing=""
for program in curl chromium; do
  command -v "$program" > /dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "the tests need$missing; please install what is missing" >&2
  exit 1
fi
apt-get update -q
# shellcheck disable=SC2086 # each word is a package
DEBIAN_FRONTEND=noninteractive apt-get install -qy $missing
