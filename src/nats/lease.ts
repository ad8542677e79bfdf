import type { Bucket } from "./bucket.ts";

/** The right to do a piece of work that one instance at a time should do. It is lost when it is not renewed. */
export interface Lease {
  /** Takes or renews it; true while this instance holds it. */
  hold(): Promise<boolean>;
  release(): Promise<void>;
}

interface LeaseRecord {
  readonly instanceId: string;
}

export interface LeaseOptions {
  readonly bucket: Bucket<LeaseRecord>;
  readonly name: string;
  readonly instanceId: string;
  readonly ttlMs: number;
}

export function createLease({ bucket, name, instanceId, ttlMs }: LeaseOptions): Lease {
  const key = `lease.${name}`;
  return {
    async hold() {
      const held = await bucket.get(key);
      if (held !== undefined && held.value.instanceId !== instanceId) return false;
      const expectRevision = held?.revision ?? 0;
      return (await bucket.put(key, { instanceId }, { expectRevision, ttlMs })) !== undefined;
    },
    async release() {
      const held = await bucket.get(key);
      if (held?.value.instanceId === instanceId) await bucket.remove(key);
    },
  };
}
