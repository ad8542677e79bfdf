import { ledgerOf, type Ledger } from "./ledger.ts";
import type { Entry } from "./record.ts";
import { altered, leaked, sentTwice } from "./rules/content.ts";
import { lost, silent } from "./rules/delivery.ts";
import { outOfOrder } from "./rules/order.ts";
import { deliveredAgain } from "./rules/settled.ts";
import { notEnded, refusedCalls } from "./rules/sessions.ts";
import { overclaimed, takenBack } from "./rules/status.ts";

export interface Violation {
  readonly rule: RuleName;
  /** What happened, with ids and times. */
  readonly text: string;
}

type Rule = (ledger: Ledger) => Iterable<string>;

export type RuleName =
  | "lost"
  | "silent"
  | "delivered again"
  | "out of order"
  | "sent twice"
  | "leaked"
  | "altered"
  | "overclaimed"
  | "taken back"
  | "not ended"
  | "refused";

const rules: Readonly<Record<RuleName, Rule>> = {
  /** Every RouteMessage answered OK is delivered to each recipient. */
  lost,
  /** No stream stays open and silent while a message waits. */
  silent,
  /** What is settled does not come again. */
  "delivered again": deliveredAgain,
  /** Calls that were waited for are delivered in their order. */
  "out of order": outOfOrder,
  /** One content has one id and is one message, however often the call was repeated. */
  "sent twice": sentTwice,
  /** Nobody gets what is not for him. */
  leaked,
  /** Content and sender come through as they were. */
  altered,
  /** A status claims nothing that nobody did. */
  overclaimed,
  /** What a caller was told is not lowered later. */
  "taken back": takenBack,
  /** Every session ends, and says so once. */
  "not ended": notEnded,
  /** No good call is refused. */
  refused: refusedCalls,
};

/** All that the record shows to have gone against the promises. */
export function violationsOf(entries: readonly Entry[]): readonly Violation[] {
  const ledger = ledgerOf(entries);
  return Object.entries(rules).flatMap(([rule, check]) =>
    [...check(ledger)].map((text) => ({ rule: rule as RuleName, text })),
  );
}
