import type { JSX } from "preact";
import type { State } from "../model/state.ts";

/** Whether the router is out of reach, for all parties here or for the page itself. */
function isRouterAway(state: State): boolean {
  if (state.isRouterAway) return true;
  // One that is cut off says nothing of the router.
  const here = state.parties.filter((party) => party.place === "here" && !party.isOffline);
  return here.length > 0 && here.every((party) => party.link === "reconnecting");
}

export function TopBar({ state }: { readonly state: State }): JSX.Element {
  const isAway = isRouterAway(state);
  return (
    <header class="top-bar">
      <div class="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M16 16V7M16 16l8 5M16 16l-8 5" />
          <circle cx="16" cy="16" r="3.2" />
          <circle cx="16" cy="6.5" r="2.6" />
          <circle cx="24.4" cy="21.2" r="2.6" />
          <circle cx="7.6" cy="21.2" r="2.6" />
        </svg>
        <span>mpc-router</span>
      </div>
      <span class="badge">
        Demonstration<span class="badge-more">, no funds</span>
      </span>
      <span class={isAway ? "router-state is-away" : "router-state"}>
        <span class="dot" aria-hidden="true" />
        <span>
          {isAway ? "Router away" : "Router"}
          {!isAway && <span class="router-host"> at {location.host}</span>}
        </span>
      </span>
    </header>
  );
}

/** Says that the router is away, and what to do; empty while it is there, so that its coming is announced. */
export function AwayBanner({ state }: { readonly state: State }): JSX.Element {
  return (
    <div class="away" role="status">
      {isRouterAway(state) && (
        <p>
          <strong>The router is away. Reconnecting…</strong> Start it again in its terminal with{" "}
          <code>npm start</code>: it keeps everything, and all goes on where it stopped.
        </p>
      )}
    </div>
  );
}
