const attemptMs = 4_000;

const unauthenticated = "16";

/**
 * Why the router lets nobody in with that token, or without one; `undefined`: it does, or it cannot be asked now. The
 * call itself asks for nothing, and is refused in any case. It is gRPC-Web, where a refusal is an answer like any other:
 * of HTTP errors browsers write to the console.
 */
export async function refusalOf(origin: string, token?: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${origin}/mpc.router.v1.MessageRouter/Heartbeat`, {
      method: "POST",
      headers: {
        "content-type": "application/grpc-web+proto",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      // The frame of an empty message.
      body: new Uint8Array(5),
      signal: AbortSignal.timeout(attemptMs),
    });
    const trailers = await answer.text();
    const [, status] = /grpc-status: *(\d+)/.exec(trailers) ?? [];
    const [, message = ""] = /grpc-message: *(\S*)/.exec(trailers) ?? [];
    return status === unauthenticated ? decodeURIComponent(message) : undefined;
  } catch {
    // The router is away, which the page shows elsewhere.
    return undefined;
  }
}
