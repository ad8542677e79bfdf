import { isRouterError } from "../errors.ts";
import type { Vault } from "../secrets/vault.ts";
import { hasChannel, noChannel } from "./contact-form.ts";
import type { NotificationChannel } from "./party.ts";

/** Notification channels, sealed wherever they are stored. */
export interface ContactBook {
  /** Keeps the channel, or erases the one there was when none is set; durable when it resolves. */
  keep(partyId: string, channel: NotificationChannel): Promise<void>;
  /** The party's channel; all empty when there is none, or its key was taken out of the seal key file. */
  open(partyId: string): Promise<NotificationChannel>;
}

export function createContactBook(vault: Vault): ContactBook {
  return {
    async keep(partyId, channel) {
      if (!hasChannel(channel)) return vault.erase("contact", partyId);
      await vault.put("contact", partyId, Buffer.from(JSON.stringify(channel)));
    },
    async open(partyId) {
      const plain = await readable(vault, partyId);
      if (plain === undefined) return noChannel;
      return JSON.parse(Buffer.from(plain).toString("utf8")) as NotificationChannel;
    },
  };
}

/** What does not open can be read by nobody any more, but the party is still there to be listed. */
async function readable(vault: Vault, partyId: string): Promise<Uint8Array | undefined> {
  try {
    return await vault.get("contact", partyId);
  } catch (error) {
    if (isRouterError(error)) throw error;
    return undefined;
  }
}
