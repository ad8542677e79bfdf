import { RouterError } from "../errors.ts";
import type { NotificationChannel } from "./party.ts";

// The form browsers check (HTML standard, "valid e-mail address"): no space, no comma, no line break.
const email =
  /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i;
const emailCharacters = 254;
/** ITU-T E.164: a plus sign and up to 15 digits, the country code first. */
const phone = /^\+[1-9]\d{1,14}$/;
/** Printable ASCII without spaces, as push services give out. */
const pushToken = /^[\x21-\x7e]{1,4096}$/;

/** Refuses a channel that is set and has not the form of its kind; the message does not repeat it. */
export function requireContactForm(channel: NotificationChannel): void {
  if (channel.email !== "" && !isEmail(channel.email)) {
    throw new RouterError("INVALID_FIELD", "notification.email must be an e-mail address");
  }
  if (channel.phone !== "" && !phone.test(channel.phone)) {
    throw new RouterError("INVALID_FIELD", "notification.phone must be a number as in E.164");
  }
  if (channel.pushToken !== "" && !pushToken.test(channel.pushToken)) {
    throw new RouterError(
      "INVALID_FIELD",
      "notification.push_token must be 1 to 4096 printable ASCII characters without spaces",
    );
  }
}

function isEmail(value: string): boolean {
  return value.length <= emailCharacters && email.test(value);
}

/** Whether there is any way to notify. */
export function hasChannel(channel: NotificationChannel): boolean {
  return channel.email !== "" || channel.phone !== "" || channel.pushToken !== "";
}

export const noChannel: NotificationChannel = { email: "", phone: "", pushToken: "" };
