#!/usr/bin/env bash
# Calls all 15 RPCs of mpc.router.v1.MessageRouter with curl and plain JSON, checks every answer, prints a line for each.
#
#   BASE_URL=http://127.0.0.1:8080 examples/curl/all-rpcs.sh
#
# Two parties make a key together: alice, and a delegate that holds the share of a user without a device.
#
# A router with authentication wants a token of each caller: set COORDINATOR_TOKEN, ALICE_TOKEN and DELEGATE_TOKEN, and in
# ALICE and DELEGATE the ids that the last two are for. Alice's must let her register as persistent, the delegate's as delegate.
set -euo pipefail
export LC_ALL=C # lengths in bytes

BASE_URL=${BASE_URL:-http://127.0.0.1:8080}
ROUTER=$BASE_URL/mpc.router.v1.MessageRouter
COORDINATOR=$BASE_URL/mpc.coordinator.v1.SessionCoordinator

# Ids of their own in each run: registrations outlive it.
run=$(date +%s)-$$-$RANDOM
alice=${ALICE:-curl-alice-$run}
delegate=${DELEGATE:-curl-delegate-$run}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# as CALLER: who makes the calls that follow. Headers are read from a file: arguments are in the list of processes.
as() {
  headers=$scratch/$1
}

credential() {
  if [ -n "$2" ]; then printf 'Authorization: Bearer %s\n' "$2"; fi >"$scratch/$1"
}

credential coordinator "${COORDINATOR_TOKEN:-}"
credential alice "${ALICE_TOKEN:-}"
credential delegate "${DELEGATE_TOKEN:-}"

fail() {
  printf 'FAILED %s\n' "$1" >&2
  exit 1
}

# call URL JSON [curl options]: a unary call. The answer is in $answer; anything but 200 ends the script.
call() {
  local url=$1 json=$2
  shift 2
  answer=$(curl -sS --max-time 10 -H 'Content-Type: application/json' -H "@$headers" "$@" --data "$json" -w '\n%{http_code}' "$url") ||
    fail "$url: no answer"
  local status=${answer##*$'\n'}
  answer=${answer%$'\n'*}
  [ "$status" = 200 ] || fail "$url: HTTP $status $answer"
}

# stream URL JSON SECONDS: a server stream, read for that time; $answer has one message a line.
# Connect puts each message of a stream into an envelope, requests too: a byte of flags, four bytes of length (big
# endian), then the JSON. Flag 2 marks the last one, which says how the stream ended; ours stays open.
stream() {
  local url=$1 json=$2 seconds=$3 length=${#2} result=0
  {
    printf '%b' "$(printf '\\x00\\x%02x\\x%02x\\x%02x\\x%02x' \
      $((length >> 24 & 255)) $((length >> 16 & 255)) $((length >> 8 & 255)) $((length & 255)))"
    printf '%s' "$json"
  } >"$scratch/request"
  curl -sS --no-buffer --max-time "$seconds" -H 'Content-Type: application/connect+json' -H "@$headers" \
    --data-binary "@$scratch/request" -o "$scratch/response" "$url" 2>"$scratch/error" || result=$?
  # 28: the time is over, as it should be.
  [ "$result" = 28 ] || fail "$url: the stream ended early ($result) $(cat "$scratch/error" "$scratch/response")"
  answer=$(envelopes "$scratch/response")
}

envelopes() {
  local file=$1 at=0 size flags a b c d length
  size=$(wc -c <"$file")
  while ((at + 5 <= size)); do
    read -r flags a b c d < <(od -An -tu1 -j "$at" -N 5 "$file")
    length=$(((a << 24) + (b << 16) + (c << 8) + d))
    dd if="$file" bs=1 skip=$((at + 5)) count="$length" 2>"$scratch/dd"
    echo
    at=$((at + 5 + length))
  done
}

# expect TEXT: the answer holds it, spaces aside.
expect() {
  local compact=${answer//[[:space:]]/}
  [[ $compact == *"$1"* ]] || fail "$rpc: no $1 in the answer: $answer"
}

# text_of NAME: the first text in the answer that has that name.
text_of() {
  { grep -o "\"$1\": *\"[^\"]*\"" <<<"$answer" || true; } | sed -n '1s/.*"\([^"]*\)"$/\1/p'
}

ok() {
  printf 'ok %-22s %s\n' "$rpc" "$1"
}

rpc=RegisterParty
as alice
call "$ROUTER/$rpc" '{"partyId":"'"$alice"'","partyRole":"persistent","version":"curl"}'
expect '"success":true'
as delegate
call "$ROUTER/$rpc" '{"partyId":"'"$delegate"'","partyRole":"delegate","version":"curl"}'
expect '"success":true'
ok "$alice, $delegate"

rpc=Heartbeat
as alice
call "$ROUTER/$rpc" '{"partyId":"'"$alice"'","timestamp":"'"$(date +%s)000"'"}'
expect '"pendingMessages":0'
ok "router time $(text_of serverTimestamp)"

rpc=GetRegisteredParties
as coordinator
call "$ROUTER/$rpc" '{"roleFilter":"delegate","onlyOnline":true}'
expect '"partyId":"'"$delegate"'"'
ok "the delegate is online"

# The wallet backend's part: a 2-of-2 key. Each party's join token comes with the answer, and with the party's event.
rpc=CreateSession
user_key=$(printf 'the key of the user, 32 bytes ..' | base64)
call "$COORDINATOR/$rpc" '{"requestId":"curl-'"$run"'","sessionType":"keygen","thresholdN":2,"thresholdT":2,
  "selectedParties":["'"$alice"'","'"$delegate"'"],"userPublicKey":"'"$user_key"'"}'
expect '"status":"created"'
session=$(text_of sessionId)
delegate_token=$(text_of "$delegate")

rpc=SubscribeSessionEvents
as alice
stream "$ROUTER/$rpc" '{"partyId":"'"$alice"'","eventTypes":["session_created"]}' 2
expect '"eventType":"session_created","sessionId":"'"$session"'"'
alice_token=$(text_of "$alice")
ok "$(text_of eventId)"

rpc=JoinSession
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$alice"'","joinToken":"'"$alice_token"'"}'
expect '"partyIndex":0}'
as delegate
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'","joinToken":"'"$delegate_token"'",
  "deviceInfo":{"deviceType":"server","platform":"curl"}}'
expect '"otherParties":[{"partyId":"'"$alice"'","partyIndex":0'
expect '"partyIndex":1}'
ok "session $session"

rpc=MarkPartyReady
as alice
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$alice"'"}'
expect '"allReady":false'
as delegate
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'"}'
expect '"allReady":true'
ok "both"

rpc=GetSessionStatus
as alice
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'"}'
expect '"status":"in_progress"'
ok "$(text_of status)"

# Nobody named: to everybody else. With a key of its own, the call may be repeated when its answer was lost.
rpc=RouteMessage
payload=$(printf 'an encrypted protocol message' | base64)
message='{"sessionId":"'"$session"'","fromParty":"'"$alice"'","roundNumber":1,
  "messageType":"example/round1","payload":"'"$payload"'"}'
call "$ROUTER/$rpc" "$message" -H "Idempotency-Key: $run-1"
message_id=$(text_of messageId)
[ -n "$message_id" ] || fail "$rpc: no messageId in the answer: $answer"
call "$ROUTER/$rpc" "$message" -H "Idempotency-Key: $run-1"
expect '"messageId":"'"$message_id"'"'
ok "message $message_id"

rpc=GetPendingMessages
as delegate
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'","afterTimestamp":"0"}'
expect '"messageId":"'"$message_id"'"'
ok "it waits for the delegate"

rpc=SubscribeMessages
stream "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'"}' 2
expect '"messageId":"'"$message_id"'"'
expect '"isBroadcast":true'
expect '"payload":"'"$payload"'"'
ok "from $(text_of fromParty)"

rpc=AcknowledgeMessage
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'","messageId":"'"$message_id"'","success":true}'
expect '"success":true'
ok "$(text_of message)"

rpc=GetMessageStatus
as alice
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","messageId":"'"$message_id"'"}'
expect '"allAcknowledged":true'
ok "$(text_of status)"

rpc=SubmitDelegateShare
public_key=$(printf 'the public key, 32 bytes long ...' | base64)
share=$(printf 'the share, sealed to the user' | base64)
as delegate
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'","partyIndex":1,
  "encryptedShare":"'"$share"'","publicKey":"'"$public_key"'"}'
expect '"success":true'
ok "the user's share waits for the backend"

rpc=ReportCompletion
as alice
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$alice"'","publicKey":"'"$public_key"'"}'
expect '"allCompleted":false'
as delegate
call "$ROUTER/$rpc" '{"sessionId":"'"$session"'","partyId":"'"$delegate"'","publicKey":"'"$public_key"'"}'
expect '"allCompleted":true'
ok "both have the same public key"

rpc=PublishSessionEvent
as coordinator
call "$ROUTER/$rpc" '{"event":{"eventId":"curl-'"$run"'","eventType":"example","sessionId":"'"$session"'",
  "selectedParties":["'"$alice"'"]}}'
expect '"success":true'
ok "to the parties that listen"
