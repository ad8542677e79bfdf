import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRouterError } from "../../../../src/domain/errors.ts";
import {
  hasChannel,
  noChannel,
  requireContactForm,
} from "../../../../src/domain/parties/contact-form.ts";
import type { NotificationChannel } from "../../../../src/domain/parties/party.ts";

function accepts(channel: Partial<NotificationChannel>): boolean {
  try {
    requireContactForm({ ...noChannel, ...channel });
    return true;
  } catch (error) {
    assert.ok(isRouterError(error, "INVALID_FIELD"));
    const [value = ""] = Object.values(channel);
    assert.ok(value.length < 3 || !error.message.includes(value), "the refusal repeats the value");
    return false;
  }
}

describe("contact form", () => {
  it("takes channels that are not set", () => {
    assert.ok(accepts({}));
    assert.equal(hasChannel(noChannel), false);
  });

  it("sees any one channel", () => {
    assert.ok(hasChannel({ ...noChannel, email: "a@b.org" }));
    assert.ok(hasChannel({ ...noChannel, phone: "+4912345" }));
    assert.ok(hasChannel({ ...noChannel, pushToken: "token" }));
  });

  it("takes e-mail addresses and nothing that could be more than one line or one address", () => {
    const good = ["a@example.org", "first.last+tag@sub.example.co.uk", "o'neil@x-y.io", "a@host"];
    for (const email of good) assert.ok(accepts({ email }), email);
    const bad = [
      "a",
      "@example.org",
      "a@",
      "a@@b.org",
      "a b@c.org",
      "a@b.org,c@d.org",
      "a@b.org\nBcc: c@d.org",
      "a@b.org\n",
      "a@-b.org",
      "a@b-.org",
      "a@b..org",
      "A <a@b.org>",
      `${"a".repeat(65)}@b.org`,
      `a@${"b.".repeat(130)}org`,
    ];
    for (const email of bad) assert.equal(accepts({ email }), false, email);
  });

  it("takes phone numbers as in E.164 only", () => {
    for (const phone of ["+15551234567", "+4915112345678", "+123456789012345"]) {
      assert.ok(accepts({ phone }), phone);
    }
    for (const phone of [
      "15551234567",
      "+0123456",
      "+1 555 123",
      "+1234567890123456",
      "+",
      "+1a",
      "+15551234567\n",
    ]) {
      assert.equal(accepts({ phone }), false, phone);
    }
  });

  it("takes push tokens of printable ASCII up to 4,096 characters", () => {
    for (const pushToken of ["ExponentPushToken[abc]", "fcm:APA91b_-x", "x".repeat(4_096)]) {
      assert.ok(accepts({ pushToken }));
    }
    for (const pushToken of ["a b", "tökén", "x\n", "x".repeat(4_097)]) {
      assert.equal(accepts({ pushToken }), false);
    }
  });
});
