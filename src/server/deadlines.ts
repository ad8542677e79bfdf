import { maxDeadlineMs } from "./limits.ts";

/** Units of a `grpc-timeout` in milliseconds; of the smaller ones its eight digits never reach the limit. */
const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000 };

/**
 * Takes a deadline out of the headers that is further away than Node's timers reach: they would fire at once. Some clients
 * write "for ever" that way, and without a deadline they have it.
 */
export function dropDistantDeadline(headers: Headers): void {
  const connectMs = Number(headers.get("connect-timeout-ms") ?? 0);
  if (connectMs > maxDeadlineMs) headers.delete("connect-timeout-ms");
  const grpc = headers.get("grpc-timeout") ?? "";
  const grpcMs = Number(grpc.slice(0, -1)) * (unitMs[grpc.slice(-1)] ?? 0);
  if (grpcMs > maxDeadlineMs) headers.delete("grpc-timeout");
}
