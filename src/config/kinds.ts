/** A value, or what is wrong with the text: the end of a sentence, without the text, which may be a secret. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** What the text of a setting may be. */
export interface Kind<T> {
  readonly name:
    | "address"
    | "bytes"
    | "comma list"
    | "duration"
    | "path"
    | "text"
    | "true or false"
    | "url"
    | "url or path"
    | "whole number"
    | "word";
  /** Both ends allowed, or the words to choose from, or the form. */
  readonly range: string;
  /** The text is never shown, neither in errors nor in logs. */
  readonly isSecret: boolean;
  parse(text: string): Parsed<T>;
}

export interface Address {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** As it is written in a URL. */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function accepted<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refused<T>(problem: string): Parsed<T> {
  return { ok: false, problem };
}

/** A number and its unit, parsed to milliseconds. The range is given as such texts. */
export function duration(min: string, max: string): Kind<number> {
  return quantity({
    name: "duration",
    units: durationUnits,
    example: "500ms, 2s or 10m",
    min,
    max,
  });
}

/** A number of bytes, alone or with a binary unit. The range is given as such texts. */
export function bytes(min: string, max: string): Kind<number> {
  return quantity({ name: "bytes", units: byteUnits, example: "65536, 64KiB or 1MiB", min, max });
}

export function wholeNumber(min: number, max: number): Kind<number> {
  const units = new Map([["", 1]]);
  const ends = { min: String(min), max: String(max) };
  return quantity({ name: "whole number", units, example: "5", ...ends });
}

/** `host:port`, an IPv6 host in brackets. */
export function address(): Kind<Address> {
  return {
    name: "address",
    range: "host:port, port 0 to 65535",
    isSecret: false,
    parse(text) {
      const [, bracketed, plain, digits] =
        /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text) ?? [];
      const host = bracketed ?? plain;
      if (host === undefined)
        return refused("is not an address such as 127.0.0.1:8080 or [::1]:8080");
      const port = Number(digits);
      return port > 65_535 ? refused("has a port above 65535") : accepted({ host, port });
    },
  };
}

export function path(): Kind<string> {
  return {
    name: "path",
    range: "a path, relative to the working directory",
    isSecret: false,
    parse: (text) =>
      text === "" || text.includes("\0") ? refused("is not a path") : accepted(text),
  };
}

export function word<const W extends string>(words: readonly W[]): Kind<W> {
  return {
    name: "word",
    range: words.join(", "),
    isSecret: false,
    parse(text) {
      const found = words.find((candidate) => candidate === text);
      return found === undefined ? refused(`is not one of ${words.join(", ")}`) : accepted(found);
    },
  };
}

/** Something that is compared, and never taken apart. */
export function opaqueText(): Kind<string> {
  return {
    name: "text",
    range: "1 to 256 printable ASCII characters without spaces",
    isSecret: false,
    parse: (given) =>
      /^[!-~]{1,256}$/.test(given)
        ? accepted(given)
        : refused("is not 1 to 256 printable ASCII characters without spaces"),
  };
}

/** A flag that may stand alone, which means true. */
export function yesOrNo(): Kind<boolean> {
  return {
    name: "true or false",
    range: "true or false; the flag alone means true",
    isSecret: false,
    parse(given) {
      if (given === "true") return accepted(true);
      return given === "false" ? accepted(false) : refused("is not true or false");
    },
  };
}

const durationUnits: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const byteUnits: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["KiB", 1_024],
  ["MiB", 1_024 ** 2],
  ["GiB", 1_024 ** 3],
  ["TiB", 1_024 ** 4],
]);

interface Quantity {
  readonly name: "duration" | "bytes" | "whole number";
  readonly units: ReadonlyMap<string, number>;
  readonly example: string;
  readonly min: string;
  readonly max: string;
}

function quantity({ name, units, example, min, max }: Quantity): Kind<number> {
  const measure = (text: string): number | undefined => {
    const [, digits, unit] = /^(\d{1,15})([A-Za-z]*)$/.exec(text) ?? [];
    const factor = units.get(unit ?? "");
    return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
  };
  const [least, most] = [measure(min), measure(max)];
  if (least === undefined || most === undefined) throw new Error(`no range: ${min} to ${max}`);
  return {
    name,
    range: `${min} to ${max}`,
    isSecret: false,
    parse(text) {
      const value = measure(text);
      if (value === undefined) return refused(`is not a ${name} value such as ${example}`);
      const isInside = value >= least && value <= most;
      return isInside ? accepted(value) : refused(`is not within ${min} to ${max}`);
    },
  };
}
