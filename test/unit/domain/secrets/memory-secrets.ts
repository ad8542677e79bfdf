import type { ResealableSecrets } from "../../../../src/domain/secrets/secret-ports.ts";

/** A secret store that forgets with the test. */
export function memorySecrets(): ResealableSecrets {
  const values = new Map<string, Uint8Array>();
  return {
    async put(kind, id, sealed) {
      values.set(`${kind}/${id}`, sealed);
    },
    get: async (kind, id) => values.get(`${kind}/${id}`),
    async exchange(kind, id, { known, sealed }) {
      const there = values.get(`${kind}/${id}`);
      if (there === undefined || Buffer.compare(there, known) !== 0) return false;
      values.set(`${kind}/${id}`, sealed);
      return true;
    },
    async erase(kind, id) {
      values.delete(`${kind}/${id}`);
    },
    async ids(kind) {
      const prefix = `${kind}/`;
      return [...values.keys()]
        .filter((key) => key.startsWith(prefix))
        .map((key) => key.slice(prefix.length));
    },
  };
}
