import { destination as pinoDestination, pino, stdTimeFunctions, type Logger as Pino } from "pino";
import { allowedFields, describeError } from "./log-fields.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields carry ids, counts and causes (`err`); one that is not on the list in log-fields.ts is not written. */
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
    serializers: { err: describeError },
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
  const write = (level: LogLevel, fields: object, message: string): void => {
    if (inner.isLevelEnabled(level)) inner[level](allowedFields(fields), message);
  };
  return {
    debug: (fields, message) => write("debug", fields, message),
    info: (fields, message) => write("info", fields, message),
    warn: (fields, message) => write("warn", fields, message),
    error: (fields, message) => write("error", fields, message),
    child: (fields) => wrap(inner.child(allowedFields(fields))),
  };
}
