/** An allowed origin as the CORS check takes it: itself, or a pattern where the port is `*`. */
export function originPattern(origin: string): string | RegExp {
  if (!origin.endsWith(":*")) return origin;
  const host = origin.slice(0, -":*".length).replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${host}(:\\d+)?$`);
}
