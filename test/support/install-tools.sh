#!/bin/sh
# The programs that tests use and npm cannot bring. Where they are missing and the package manager may be used, it is.
set -eu
missing=""
# Debian keeps the last one where only root looks.
for program in curl chromium openssl haproxy; do
  PATH=$PATH:/usr/sbin command -v "$program" > /dev/null || missing="$missing $program"
done
command -v systemd-analyze > /dev/null || missing="$missing systemd"
python3 -c 'import venv, ensurepip' 2> /dev/null || missing="$missing python3-venv"
if ! command -v go > /dev/null; then
  # Distributions ship one that is too old for the modules the tests build.
  echo "the tests need Go 1.26 or later on the PATH; please install it" >&2
  exit 1
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "the tests need$missing; please install what is missing" >&2
  exit 1
fi
apt-get update -q
# shellcheck disable=SC2086 # each word is a package
DEBIAN_FRONTEND=noninteractive apt-get install -qy $missing
