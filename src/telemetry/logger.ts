import { destination as pinoDestination, pino, stdTimeFunctions, type Logger as Pino } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields carry ids, counts and causes (`err`); never payloads, tokens, shares or contacts. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to each line. */
  child(fields: object): Logger;
}

export interface LoggerOptions {
  /** The least level that is written. */
  readonly level: LogLevel;
  /** Takes the finished lines, newline included; by default they go to stderr. */
  readonly destination?: { write(line: string): void };
}

/** Writes one JSON object a line. Stdout is left to what the commands print. */
export function createLogger(options: LoggerOptions): Logger {
  // Written synchronously, so that the lines before a crash are there to be read.
  const destination = options.destination ?? pinoDestination({ fd: 2, sync: true });
  const settings = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return wrap(pino(settings, destination));
}

/** Writes nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

function wrap(inner: Pino): Logger {
  return {
    debug: (fields, message) => inner.debug(fields, message),
    info: (fields, message) => inner.info(fields, message),
    warn: (fields, message) => inner.warn(fields, message),
    error: (fields, message) => inner.error(fields, message),
    child: (fields) => wrap(inner.child(fields)),
  };
}
