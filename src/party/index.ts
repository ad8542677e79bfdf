export { connectParty } from "./connect-party.ts";
export type {
  DeviceInfo,
  HeartbeatAnswer,
  NotificationChannel,
  Party,
  PartyFaults,
  PartyOptions,
} from "./party.ts";
export type { WaitOptions } from "./wait-options.ts";
export { isPartyError, isTransient, PartyError } from "./party-error.ts";
export type { Invitation, LentShare, PartyEvent } from "./party-event.ts";
export type {
  DeliveryStatus,
  MessagesOptions,
  OutgoingMessage,
  PartySession,
  ReceivedMessage,
  SessionParty,
  SessionResult,
} from "./party-session.ts";
export { backOff } from "./pause.ts";
export type { PartyState } from "./router-link.ts";
export type { SessionEnd, SessionStatus } from "./session-watch.ts";
export {
  createIdentity,
  exportIdentity,
  exportPublicIdentity,
  importIdentity,
  importPublicIdentity,
  publicIdentity,
} from "./sealed/identity.ts";
export type { Identity, PublicIdentity } from "./sealed/identity.ts";
export { isSealError, SealError } from "./sealed/seal-error.ts";
export type { Difference, SealReason } from "./sealed/seal-error.ts";
export { sealSession } from "./sealed/sealed-session.ts";
export type { ConfirmOptions, SealedSession, SealOptions } from "./sealed/sealed-session.ts";
