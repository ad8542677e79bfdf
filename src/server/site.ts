import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";

/** A page may load what this router serves, and call it; nothing inline, nothing evaluated, nothing from elsewhere. */
const contentSecurityPolicy: string = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const siteHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Files that carry a hash of what is in them in their name: another content has another name. */
const hashedName = /[\\/]assets[\\/]/;

/**
 * Serves the files that are there now, and their packed copies (`.br`, `.gz`) to whom can read them. Paths that name no file
 * stay with the calls.
 */
export function registerSite(app: FastifyInstance, directory: string): void {
  void app.register(fastifyStatic, {
    root: directory,
    wildcard: false,
    globIgnore: ["**/*.br", "**/*.gz"],
    preCompressed: true,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isHashed = hashedName.test(path.slice(directory.length));
      void reply.headers(siteHeaders);
      void reply.header(
        "cache-control",
        isHashed ? "public, max-age=31536000, immutable" : "no-cache",
      );
    },
  });
}
