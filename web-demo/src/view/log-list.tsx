import type { JSX } from "preact";
import type { LogEntry } from "../model/state.ts";

const time = new Intl.DateTimeFormat(undefined, {
  hourCycle: "h23",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** What happened, the newest first. */
export function LogList({ entries }: { readonly entries: readonly LogEntry[] }): JSX.Element {
  return (
    <section class="log" aria-labelledby="log-title">
      <header>
        <h2 id="log-title">What happened</h2>
      </header>
      {entries.length === 0 && <p class="empty">Nothing yet.</p>}
      <ol aria-live="polite" aria-labelledby="log-title" tabIndex={0}>
        {entries.toReversed().map((entry) => (
          <li key={entry.id} class={`is-${entry.tone}`}>
            <time>{time.format(entry.at)}</time>
            <span>{entry.text}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
