import { BearerToken } from "./bearer-token.ts";
import { BoundedSet } from "./bounded-set.ts";
import { EventHub } from "./event-hub.ts";
import { Heart } from "./heart.ts";
import { JoinedSession } from "./joined-session.ts";
import type { HeartbeatAnswer, Party, PartyFaults, PartyOptions } from "./party.ts";
import type { WaitOptions } from "./wait-options.ts";
import { abortedBy, closedError } from "./party-error.ts";
import { invitationOf, type Invitation, type PartyEvent } from "./party-event.ts";
import type { PartySession } from "./party-session.ts";
import { either } from "./pause.ts";
import { RouterLink } from "./router-link.ts";

const defaultHeartbeatMs = 15_000;

/** Sessions that were handed out or joined already. */
const mostAnswered = 10_000;

/** Registers a party; resolves once the router has answered, and tries until then or until the signal fires. */
export async function connectParty(options: PartyOptions): Promise<Party> {
  const stop = new AbortController();
  const link = new RouterLink({
    transport: options.transport,
    token: new BearerToken(options.token),
    onState: options.onState,
  });
  const register = registration(link, options);
  await register(either(stop.signal, options.signal));
  if (options.signal?.aborted === true) throw abortedBy(options.signal);
  return new ConnectedParty(link, { ...options, register, stop });
}

type Register = (signal: AbortSignal) => Promise<void>;

function registration(link: RouterLink, options: PartyOptions): Register {
  const { partyId, role = "temporary", version = "", notification } = options;
  const request = {
    partyId,
    partyRole: role,
    version,
    ...(notification === undefined ? {} : { notification }),
  };
  return async (signal) => {
    await link.call((call) => link.api.registerParty(request, call), { signal });
  };
}

class ConnectedParty implements Party {
  readonly partyId: string;
  readonly #link: RouterLink;
  readonly #options: PartyOptions;
  readonly #stop: AbortController;
  readonly #hub: EventHub;
  readonly #heart: Heart;
  readonly #answered = new BoundedSet(mostAnswered);
  readonly #open = new Map<string, JoinedSession>();
  readonly #onAbort: () => void;
  #duplicates = 0;
  #missedEvents = 0;
  #closing: Promise<void> | undefined;

  constructor(
    link: RouterLink,
    options: PartyOptions & { readonly register: Register; readonly stop: AbortController },
  ) {
    const { partyId, register, stop, heartbeatMs = defaultHeartbeatMs } = options;
    const { signal } = stop;
    this.partyId = partyId;
    this.#link = link;
    this.#options = options;
    this.#stop = stop;
    this.#hub = new EventHub(link, { partyId, register, signal });
    this.#heart = new Heart(link, {
      partyId,
      heartbeatMs,
      register,
      signal,
      inboxes: () => [...this.#open.values()].map(({ inbox }) => inbox),
      reopen: () => this.#reopen(),
    });
    this.#onAbort = () => void this.close();
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get faults(): PartyFaults {
    const open = [...this.#open.values()];
    return {
      retries: this.#link.retries,
      reconnects: this.#link.reconnects,
      duplicates: open.reduce((sum, { inbox }) => sum + inbox.duplicates, this.#duplicates),
      missedEvents: open.reduce((sum, { watch }) => sum + watch.missedEvents, this.#missedEvents),
    };
  }

  sessions(options: WaitOptions = {}): AsyncIterableIterator<Invitation> {
    return this.#invitations(options, () => true);
  }

  async nextSession(
    options: WaitOptions & { readonly sessionId?: string | undefined } = {},
  ): Promise<Invitation> {
    const { sessionId } = options;
    const isWanted = (event: PartyEvent): boolean =>
      sessionId === undefined || event.sessionId === sessionId;
    for await (const invitation of this.#invitations(options, isWanted)) return invitation;
    throw closedError("the party");
  }

  events(
    options: WaitOptions & { readonly types?: readonly string[] } = {},
  ): AsyncIterableIterator<PartyEvent> {
    const signal = either(this.#stop.signal, options.signal);
    return this.#hub.read({ types: options.types, signal });
  }

  async join(
    invitation: Pick<Invitation, "sessionId" | "joinToken">,
    options: WaitOptions = {},
  ): Promise<PartySession> {
    const { sessionId, joinToken } = invitation;
    const { partyId, device: deviceInfo, streams = "one" } = this.#options;
    const request = {
      sessionId,
      partyId,
      joinToken,
      ...(deviceInfo === undefined ? {} : { deviceInfo }),
    };
    const joined = await this.#link.call((call) => this.#link.api.joinSession(request, call), {
      signal: either(this.#stop.signal, options.signal),
    });
    if (this.#stop.signal.aborted) throw abortedBy(this.#stop.signal);
    this.#answered.add(sessionId);
    const open = this.#open.get(sessionId);
    if (open !== undefined) return open;
    const session = new JoinedSession(this.#link, joined, {
      partyId,
      streams,
      hub: this.#hub,
      signal: this.#stop.signal,
      onClose: () => this.#forget(session),
    });
    this.#open.set(sessionId, session);
    session.watch.ending.addEventListener("abort", () => this.#forget(session), { once: true });
    return session;
  }

  heartbeat(options: WaitOptions = {}): Promise<HeartbeatAnswer> {
    return this.#heart.beat(either(this.#stop.signal, options.signal));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#invitations(
    options: WaitOptions,
    isWanted: (event: PartyEvent) => boolean,
  ): AsyncGenerator<Invitation, void, undefined> {
    const signal = either(this.#stop.signal, options.signal);
    for await (const event of this.#hub.read({ types: ["session_created"], signal })) {
      if (!isWanted(event) || this.#hub.hasEnded(event.sessionId)) continue;
      if (this.#answered.add(event.sessionId)) yield invitationOf(event);
    }
  }

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    await Promise.all([...this.#open.values()].map((session) => session.close()));
    this.#stop.abort(closedError("the party"));
    await Promise.all([this.#hub.stopped(), this.#heart.stopped()]);
  }

  #reopen(): void {
    this.#hub.reopen();
    for (const { inbox } of this.#open.values()) inbox.reopen();
  }

  #forget(session: JoinedSession): void {
    if (this.#open.get(session.sessionId) !== session) return;
    this.#open.delete(session.sessionId);
    this.#duplicates += session.inbox.duplicates;
    this.#missedEvents += session.watch.missedEvents;
  }
}
