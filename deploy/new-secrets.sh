#!/bin/sh
# Makes what a deployment keeps secret: DIR/secrets/seal-keys, and DIR/.env with the passwords of the NATS cluster.
# With --trial also a certificate for the host or IPv4 address, for 30 days, that nobody trusts unless told to. What is
# there already is left as it is.
#   deploy/new-secrets.sh [--trial HOST] DIR        for the compose files: deploy/new-secrets.sh deploy/compose
set -eu
umask 077

host=""
if [ "${1-}" = --trial ]; then
  host=${2:?usage: new-secrets.sh [--trial HOST] DIR}
  shift 2
fi
directory=${1:?usage: new-secrets.sh [--trial HOST] DIR}
secrets=$directory/secrets
mkdir -p "$secrets"

# Letters only: NATS reads the values as configuration, where digits could make a number of them.
new_password() {
  head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' | tr 0-9 g-p
}

if [ ! -e "$secrets/seal-keys" ]; then
  head -c 32 /dev/urandom | base64 > "$secrets/seal-keys"
fi
if [ ! -e "$directory/.env" ]; then
  cat > "$directory/.env" << END
NATS_ROUTE_PASSWORD=$(new_password)
NATS_ROUTER_PASSWORD=$(new_password)
NATS_OPERATOR_PASSWORD=$(new_password)
# Whose tokens the routers take: the address of the issuer's keys, and what iss and aud are in its tokens.
AUTH_JWKS=
AUTH_ISSUER=
AUTH_AUDIENCE=
END
fi
if [ -n "$host" ] && [ ! -e "$secrets/tls.key" ]; then
  case $host in
    *[!0-9.]*) name=DNS:$host ;;
    *) name=IP:$host ;;
  esac
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 \
    -subj "/CN=$host" -addext "subjectAltName=$name" \
    -keyout "$secrets/tls.key" -out "$secrets/tls.crt" 2> /dev/null
fi
# The containers read them as user 1000.
if [ "$(id -u)" = 0 ]; then
  chown -R 1000:1000 "$secrets"
fi
