import { spawn } from "node:child_process";

export interface CommandOptions {
  /** Default: the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** After this time the program is killed and the promise rejects. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const outputLimitCharacters = 65_536;

/**
 * Runs a program to its end and resolves with what it wrote to stdout. Rejects when it cannot be started, is killed,
 * or ends with another code than 0; the message then has the last line of its stderr.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const child = spawn(program, args, {
    ...(options.env === undefined ? {} : { env: options.env }),
    stdio: ["ignore", "pipe", "pipe"],
    killSignal: "SIGKILL",
    signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
    windowsHide: true,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(0, outputLimitCharacters);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-outputLimitCharacters);
  });
  child.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return reject(new Error(`${program} is not installed`));
    if (timeout.aborted) return reject(new Error(`${program} took over ${options.timeoutMs} ms`));
    reject(error);
  });
  child.once("close", (code, signal) => {
    if (code === 0) return resolve(stdout);
    const lastLine = stderr.trim().split("\n").at(-1) ?? "";
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
    reject(new Error(lastLine === "" ? `${program} ${how}` : `${program} ${how}: ${lastLine}`));
  });
  return promise;
}
