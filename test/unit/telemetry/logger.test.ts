import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLogger, silentLogger, type LogLevel } from "../../../src/telemetry/logger.ts";

function setup(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void =>
    void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { lines, logger: createLogger({ level, destination: { write } }) };
}

describe("the logger", () => {
  it("writes one object a line, with time, level by name, fields and message", () => {
    const { lines, logger } = setup("info");
    logger.info({ sessionId: "s1", count: 2 }, "message routed");
    const [{ time, ...line } = assert.fail()] = lines;
    assert.deepEqual(line, { level: "info", sessionId: "s1", count: 2, msg: "message routed" });
    assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it("leaves out what is below its level", () => {
    const { lines, logger } = setup("warn");
    logger.debug({}, "a");
    logger.info({}, "b");
    logger.warn({}, "c");
    logger.error({}, "d");
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ["c", "d"],
    );
  });

  it("hands its fields on to its children", () => {
    const { lines, logger } = setup("info");
    logger.child({ partyId: "p1" }).child({ sessionId: "s1" }).info({ count: 1 }, "x");
    assert.partialDeepStrictEqual(lines, [{ partyId: "p1", sessionId: "s1", count: 1 }]);
  });

  it("writes what went wrong, cause included", () => {
    const { lines, logger } = setup("info");
    logger.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
    assert.match(JSON.stringify(lines[0]?.["err"]), /outer: inner/);
  });

  it("writes no field that is not on its list, and says which were left out", () => {
    const { lines, logger } = setup("info");
    logger.child({ token: "secret" }).info({ payload: "secret", sessionId: "s1" }, "routed");
    const [line] = lines;
    assert.equal(line?.["sessionId"], "s1");
    assert.deepEqual(line["dropped"], ["payload"]);
    assert.doesNotMatch(JSON.stringify(line), /secret/);
  });

  it("writes of an error its text and place, not what else hangs on it", () => {
    const { lines, logger } = setup("info");
    const error = Object.assign(new Error("failed"), { code: "E1", request: "secret" });
    logger.error({ err: error }, "x");
    assert.partialDeepStrictEqual(lines, [
      { err: { type: "Error", message: "failed", code: "E1" } },
    ]);
    assert.match(JSON.stringify(lines), /logger\.test\.ts/);
    assert.doesNotMatch(JSON.stringify(lines), /secret/);
  });

  it("writes nothing of a text that could not be parsed", () => {
    const { lines, logger } = setup("info");
    try {
      JSON.parse("secret");
    } catch (error) {
      logger.error({ err: new Error("reading", { cause: error }) }, "x");
      logger.error({ err: error }, "x");
    }
    assert.equal(lines.length, 2);
    assert.doesNotMatch(JSON.stringify(lines), /secret/);
  });

  it("can be silent", () => {
    silentLogger.child({ a: 1 }).error({}, "nobody reads this");
  });
});
