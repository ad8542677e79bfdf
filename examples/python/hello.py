"""A party in Python that registers and prints the session events that select it.

How to make the stubs it imports is told in ../README.md.
"""

import argparse
import random
import time

import grpc

from mpc.router.v1 import message_router_pb2 as messages
from mpc.router.v1 import message_router_pb2_grpc as services

CALL_TIMEOUT_S = 5
LONGEST_PAUSE_S = 2.0


def credential(token_file: str) -> list[tuple[str, str]]:
    """Metadata of a call. The file is read each time, so that the token can be replaced before it expires."""
    if not token_file:
        return []
    with open(token_file, encoding="ascii") as file:
        return [("authorization", f"Bearer {file.read().strip()}")]


def follow_events(router: services.MessageRouterStub, party_id: str, token_file: str):
    """Yields events over as many streams as it takes. After a break it goes on behind the last one.

    An event may come twice all the same: who acts on it remembers the event_id.
    """
    last_event_id = ""
    pause_s = 0.1
    while True:
        request = messages.SubscribeSessionEventsRequest(party_id=party_id)
        metadata = credential(token_file)
        if last_event_id:
            metadata.append(("last-event-id", last_event_id))
        try:
            for event in router.SubscribeSessionEvents(request, metadata=metadata):
                yield event
                last_event_id = event.event_id
                pause_s = 0.1
        except grpc.RpcError as error:
            # Everything else is a refusal, which does not get better by asking again.
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        time.sleep(random.uniform(pause_s / 2, pause_s))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--addr", default="127.0.0.1:8080", help="host and port of the router")
    parser.add_argument("--party-id", default="python-party")
    parser.add_argument("--token-file", default="", help="file of the party's token, for a router with authentication")
    parser.add_argument("--events", type=int, default=0, help="end after so many events; 0: never")
    options = parser.parse_args()

    with grpc.insecure_channel(options.addr) as channel:
        router = services.MessageRouterStub(channel)
        registration = messages.RegisterPartyRequest(
            party_id=options.party_id, party_role="temporary", version="hello/1"
        )
        metadata = credential(options.token_file)
        router.RegisterParty(registration, timeout=CALL_TIMEOUT_S, wait_for_ready=True, metadata=metadata)
        print(f"registered as {options.party_id}", flush=True)
        events = follow_events(router, options.party_id, options.token_file)
        for count, event in enumerate(events, start=1):
            # Never print event.join_tokens: who has the token can join in this party's place.
            print(f"{event.event_type} {event.session_id}", flush=True)
            if count == options.events:
                return


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
