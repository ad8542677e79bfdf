import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkSettings } from "../../../src/config/settings.ts";
import { settingsTable, type Settings } from "../../../src/config/settings-table.ts";

function settingsOf(args: readonly string[], env: NodeJS.ProcessEnv = {}): Settings {
  const checked = checkSettings(args, env);
  assert.equal(checked.kind, "serve");
  assert.deepEqual(checked.problems, []);
  return checked.settings as Settings;
}

function problemsOf(args: readonly string[], env: NodeJS.ProcessEnv = {}): readonly string[] {
  const checked = checkSettings(args, env);
  assert.equal(checked.kind, "serve");
  assert.notDeepEqual(checked.problems, [], "the settings are accepted");
  return checked.problems;
}

function localOrigins(scheme: string): readonly string[] {
  return ["localhost", "127.0.0.1", "[::1]"].map((host) => `${scheme}://${host}:*`);
}

type Examples = {
  readonly [Name in keyof Settings]: {
    readonly good: readonly (readonly [text: string, value: Settings[Name]])[];
    readonly bad: readonly string[];
    /** Flags that a value needs beside it. */
    readonly beside?: readonly string[];
  };
};

const tls = ["--tls-cert=cert", "--tls-key=key"];
const yesOrNo = {
  good: [
    ["true", true],
    ["false", false],
  ],
  bad: ["yes", "1", "TRUE"],
} as const;
const idText = {
  good: [
    ["https://a/", "https://a/"],
    ["mpc", "mpc"],
  ],
  bad: ["a b", "é", "x".repeat(257)],
} as const;

const day = 86_400_000;
const examples: Examples = {
  listen: {
    beside: ["--insecure-allow-unauthenticated", "--behind-proxy"],
    good: [
      ["0.0.0.0:80", { host: "0.0.0.0", port: 80 }],
      ["localhost:0", { host: "localhost", port: 0 }],
      ["[::1]:65535", { host: "::1", port: 65_535 }],
    ],
    bad: [
      "8080",
      "localhost",
      ":8080",
      "::1:8080",
      "[::1]",
      "a:65536",
      "a:-1",
      "http://a:80",
      "a b:1",
    ],
  },
  nats: {
    good: [["nats://a:4222", { url: "nats://a:4222", requiresTls: false }]],
    bad: ["a:4222", "http://a", "nats://", "nats://a/path", "nats://user@a", "nats://a,", ","],
  },
  dataDir: { good: [["/var/lib/x", "/var/lib/x"]], bad: ["\0"] },
  ackWaitMs: {
    good: [
      ["100ms", 100],
      ["2s", 2_000],
      ["1h", 3_600_000],
    ],
    bad: [
      "99ms",
      "61m",
      "30",
      "1.5s",
      "-1s",
      "1 s",
      "s",
      "30S",
      "1h30m",
      "1e3s",
      "99999999999999999s",
    ],
  },
  presenceTimeoutMs: {
    good: [
      ["1s", 1_000],
      ["10m", 600_000],
    ],
    bad: ["999ms", "2h", "0"],
  },
  maxRefusals: {
    good: [
      ["1", 1],
      ["1000", 1_000],
    ],
    bad: ["0", "1001", "-5", "5.0", "five", "0x5"],
  },
  maxPayloadBytes: {
    good: [
      ["1024", 1_024],
      ["8MiB", 8_388_608],
      ["64KiB", 65_536],
    ],
    bad: ["1023", "8388609", "9MiB", "1MB", "1mib", "1M", "MiB", "-1"],
  },
  mailboxMaxMessages: {
    good: [
      ["1", 1],
      ["1000000", 1_000_000],
    ],
    bad: ["0", "1000001", "1k"],
  },
  mailboxMaxBytes: {
    good: [
      ["1MiB", 1_048_576],
      ["1TiB", 1_024 ** 4],
    ],
    bad: ["1023", "2TiB"],
  },
  sessionTtlMs: {
    good: [
      ["1s", 1_000],
      ["7d", 7 * day],
      ["168h", 7 * day],
    ],
    bad: ["999ms", "8d", "10"],
  },
  callsPerSecond: { good: [["1", 1]], bad: ["0", "1000001", "0.5"] },
  callBurst: { good: [["1000000", 1_000_000]], bad: ["0", "1000001"] },
  connectionCallsPerSecond: { good: [["1000000", 1_000_000]], bad: ["0", "1000001"] },
  maxStreamsPerParty: {
    good: [
      ["1", 1],
      ["100000", 100_000],
    ],
    bad: ["0", "100001"],
  },
  maxSessionsPerCoordinator: {
    good: [
      ["1", 1],
      ["10000000", 10_000_000],
    ],
    bad: ["0", "10000001"],
  },
  sealKeyFile: { good: [["keys", "keys"]], bad: ["\0"] },
  authJwks: {
    beside: ["--auth-issuer=i", "--auth-audience=a", "--seal-key-file=keys"],
    good: [
      ["https://issuer.example/keys", "https://issuer.example/keys"],
      ["http://127.0.0.1:1/keys", "http://127.0.0.1:1/keys"],
      ["http://[::1]:1/keys", "http://[::1]:1/keys"],
      ["./keys.json", "./keys.json"],
    ],
    bad: ["http://issuer.example/keys", "ftp://a/keys", "https://me:secret@a/", "https://", "\0"],
  },
  authJwtSecretFile: { beside: ["--seal-key-file=keys"], good: [["s", "s"]], bad: ["\0"] },
  authIssuer: { beside: ["--auth-jwt-secret-file=s", "--seal-key-file=keys"], ...idText },
  authAudience: { beside: ["--auth-jwt-secret-file=s", "--seal-key-file=keys"], ...idText },
  tlsCert: { beside: ["--tls-key=key"], good: [["cert", "cert"]], bad: ["\0"] },
  tlsKey: { beside: ["--tls-cert=cert"], good: [["key", "key"]], bad: ["\0"] },
  tlsClientCa: { beside: [...tls, "--seal-key-file=keys"], good: [["ca", "ca"]], bad: ["\0"] },
  behindProxy: yesOrNo,
  insecureAllowUnauthenticated: yesOrNo,
  demo: yesOrNo,
  allowedOrigins: {
    good: [
      ["https://a.example", ["https://a.example"]],
      ["https://A.example:8443, http://b:*", ["https://a.example:8443", "http://b:*"]],
    ],
    bad: [
      "*",
      "a.example",
      "https://a/",
      "https://a/path",
      "https://u@a",
      "https://a:443",
      "ftp://a",
      "https://a,",
      "https://*.a b",
    ],
  },
  logLevel: {
    good: [
      ["debug", "debug"],
      ["error", "error"],
    ],
    bad: ["verbose", "INFO", "trace"],
  },
};

const names = Object.keys(settingsTable) as (keyof Settings)[];

describe("settings", () => {
  it("have the documented defaults", () => {
    assert.deepEqual(settingsOf([]), {
      listen: { host: "127.0.0.1", port: 8080 },
      nats: undefined,
      dataDir: "./.mpc-router",
      ackWaitMs: 30_000,
      presenceTimeoutMs: 60_000,
      maxRefusals: 5,
      maxPayloadBytes: 1_048_576,
      mailboxMaxMessages: 10_000,
      mailboxMaxBytes: 268_435_456,
      sessionTtlMs: 600_000,
      callsPerSecond: 500,
      callBurst: 1_000,
      connectionCallsPerSecond: 10_000,
      maxStreamsPerParty: 100,
      maxSessionsPerCoordinator: 100_000,
      sealKeyFile: undefined,
      authJwks: undefined,
      authJwtSecretFile: undefined,
      authIssuer: undefined,
      authAudience: undefined,
      tlsCert: undefined,
      tlsKey: undefined,
      tlsClientCa: undefined,
      behindProxy: false,
      insecureAllowUnauthenticated: false,
      demo: false,
      allowedOrigins: [...localOrigins("http"), ...localOrigins("https")],
      logLevel: "info",
    });
  });

  for (const name of names) {
    const { flag, env, kind } = settingsTable[name];
    const { good, bad, beside = [] } = examples[name];
    const isBoolean = kind.name === "true or false";

    it(`read ${flag} in both spellings, and ${env}`, () => {
      for (const [text, value] of good) {
        assert.deepEqual(settingsOf([...beside, `${flag}=${text}`])[name], value);
        if (!isBoolean) assert.deepEqual(settingsOf([...beside, flag, text])[name], value);
        assert.deepEqual(settingsOf(beside, { [env]: text })[name], value);
      }
    });

    it(`refuse bad values of ${flag} and ${env}, naming the one given`, () => {
      for (const text of bad) {
        const [byFlag, ...moreByFlag] = problemsOf([...beside, `${flag}=${text}`]);
        const [byEnv, ...moreByEnv] = problemsOf(beside, { [env]: text });
        assert.ok(byFlag?.startsWith(`${flag}: `), `${text}: ${byFlag}`);
        assert.ok(byEnv?.startsWith(`${env}: `), `${text}: ${byEnv}`);
        assert.deepEqual([...moreByFlag, ...moreByEnv], []);
      }
    });

    it(`refuse ${flag} without a value, with an empty one, and twice`, () => {
      const [[text] = assert.fail()] = good;
      const twice = problemsOf([...beside, `${flag}=${text}`, `${flag}=${text}`]);
      assert.deepEqual(twice, [`${flag} is given more than once`]);
      assert.ok(problemsOf([`${flag}=`])[0]?.startsWith(flag));
      if (isBoolean) return;
      assert.deepEqual(problemsOf([flag]), [`${flag} needs a value`]);
      assert.deepEqual(problemsOf([flag, "--log-level=info"]), [`${flag} needs a value`]);
    });
  }

  it("take a flag that is true or false, and stands alone, for true, and no text after it", () => {
    assert.equal(settingsOf(["--demo"]).demo, true);
    assert.equal(settingsOf(["--demo", "--ack-wait=2s"]).demo, true);
    assert.deepEqual(problemsOf(["--demo", "false"]), [
      "argument 2 is no setting; they are given as --name=value",
    ]);
  });

  it("let a flag win over its variable, which is then not looked at", () => {
    assert.equal(settingsOf(["--ack-wait=2s"], { MPC_ROUTER_ACK_WAIT: "5s" }).ackWaitMs, 2_000);
    assert.equal(settingsOf(["--ack-wait=2s"], { MPC_ROUTER_ACK_WAIT: "wrong" }).ackWaitMs, 2_000);
  });

  it("take an empty variable as not set", () => {
    assert.equal(settingsOf([], { MPC_ROUTER_ACK_WAIT: "" }).ackWaitMs, 30_000);
  });

  it("name the nearest flag or variable for an unknown one", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["--ackwait=2s", "--ackwait is no setting; did you mean --ack-wait?"],
      ["--nats=nats://a", "--nats is no setting; did you mean --nats-url?"],
      ["--Listen=a:1", "--Listen is no setting; did you mean --listen?"],
      ["--verion", "--verion is no setting; did you mean --version?"],
      ["--zebra=1", "--zebra is no setting (see --help)"],
      ["-x", "-x is no setting (see --help)"],
      ["--", "-- is no setting (see --help)"],
    ];
    for (const [argument, problem] of cases) assert.deepEqual(problemsOf([argument]), [problem]);
    assert.deepEqual(problemsOf([], { MPC_ROUTER_SESION_TTL: "5m" }), [
      "MPC_ROUTER_SESION_TTL is no setting; did you mean MPC_ROUTER_SESSION_TTL?",
    ]);
    assert.deepEqual(problemsOf([], { MPC_ROUTER_PORT: "8080" }), [
      "MPC_ROUTER_PORT is no setting (see --help)",
    ]);
  });

  it("ignore the variables that Kubernetes makes for services of that name", () => {
    settingsOf([], {
      MPC_ROUTER_SERVICE_HOST: "10.0.0.1",
      MPC_ROUTER_SERVICE_PORT: "8080",
      MPC_ROUTER_SERVICE_PORT_GRPC: "8080",
      MPC_ROUTER_PORT: "tcp://10.0.0.1:8080",
      MPC_ROUTER_PORT_8080_TCP: "tcp://10.0.0.1:8080",
      MPC_ROUTER_PORT_8080_TCP_ADDR: "10.0.0.1",
      MPC_ROUTER_NATS_PORT: "tcp://10.0.0.2:4222",
      MPC_ROUTER_NATS_SERVICE_HOST: "10.0.0.2",
      PATH: "/bin",
    });
  });

  it("report everything that is wrong at once", () => {
    const args = [
      "--ackwait",
      "3s",
      "--max-refusals",
      "-5",
      "stray",
      "--max-payload=9MiB",
      "--listen",
    ];
    const env = { MPC_ROUTER_LOG_LEVEL: "loud", MPC_ROUTER_SESION_TTL: "5m" };
    const problems = problemsOf(args, env);
    assert.equal(problems.length, 7);
    for (const [index, start] of [
      "--ackwait is no setting",
      "argument 5 is no setting",
      "--listen needs a value",
      "MPC_ROUTER_SESION_TTL is no setting",
      '--max-refusals: "-5" is not a whole number',
      '--max-payload: "9MiB" is not within 1KiB to 8MiB',
      'MPC_ROUTER_LOG_LEVEL: "loud" is not one of debug, info, warn, error',
    ].entries()) {
      assert.ok(problems[index]?.startsWith(start), problems[index]);
    }
  });

  it("never show a secret, a misplaced value or the value of an unknown flag", () => {
    const env = { MPC_ROUTER_NATS_URL: "nats://hunter2@a", MPC_ROUTER_NATS_PASSWORD: "hunter2" };
    const argumentLists = [
      ["--nats-url=nats://me:hunter2@"],
      ["--nats-url", "nats://me:hunter2@a/path"],
      ["--auth-jwks=https://me:hunter2@issuer.example/keys"],
      ["--nats-pass=hunter2"],
      ["--nats-pass", "hunter2"],
      ["hunter2"],
    ];
    for (const args of argumentLists) {
      assert.doesNotMatch(problemsOf(args, env).join("\n"), /hunter2/);
    }
  });

  it("show long and odd values cut and escaped, on one line", () => {
    const [problem = ""] = problemsOf([`--log-level=\n${"x".repeat(5_000)}`]);
    assert.ok(problem.length < 300 && !problem.includes("\n"));
  });

  it("give way to --help and --version, whatever else is wrong", () => {
    assert.deepEqual(checkSettings(["--help", "--bad"], {}), { kind: "help" });
    assert.deepEqual(checkSettings(["--listen", "-h"], {}), { kind: "help" });
    assert.deepEqual(checkSettings(["--version"], { MPC_ROUTER_BAD: "1" }), { kind: "version" });
    assert.deepEqual(checkSettings(["--version", "--help"], {}), { kind: "help" });
    assert.deepEqual(checkSettings(["--help=yes"], {}), { kind: "help" });
  });
});
