import { accepted, path, refused, type Kind, type Parsed } from "./kinds.ts";
import { isLoopback } from "./loopback.ts";

/** Where NATS is, and as whom to connect. */
export interface NatsTarget {
  /** `nats://host:port`, without credentials; several, of one cluster, with commas between them. */
  readonly url: string;
  readonly user?: string;
  readonly pass?: string;
  /** The connection must be encrypted. False: it is if the server asks for it. */
  readonly requiresTls: boolean;
}

const natsForm = "nats://[user:password@]host[:port] or tls://…, several with commas between them";

/** One or more URLs of the same cluster; the credentials in them are taken out. */
export function natsUrl(): Kind<NatsTarget> {
  return { name: "url", range: natsForm, isSecret: true, parse: parseNatsUrls };
}

const originForm = "http(s)://host[:port], the port may be *; several with commas between them";

/** Origins as browsers send them; `*` as the port stands for every port, the one left out included. */
export function originList(): Kind<readonly string[]> {
  return {
    name: "comma list",
    range: originForm,
    isSecret: false,
    parse(text) {
      const origins = text.split(",").map((origin) => origin.trim().toLowerCase());
      return origins.every(isOrigin) ? accepted(origins) : refused(`is not ${originForm}`);
    },
  };
}

const keySetForm = "https://… (http:// on loopback only), or a path";

/** Where a key set is: whoever can change it on its way lets in whom he likes, so cleartext does not leave the machine. */
export function keySetPlace(): Kind<string> {
  return {
    name: "url or path",
    range: keySetForm,
    // A URL may have a password in it, where none is taken.
    isSecret: true,
    parse(text) {
      if (!/^[a-z][a-z\d+.-]*:\/\//i.test(text)) return path().parse(text);
      if (!URL.canParse(text)) return refused("is not a URL");
      const { protocol, hostname, username, password, href } = new URL(text);
      if (username !== "" || password !== "") return refused("has a user or a password");
      const isSafe = protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
      return isSafe ? accepted(href) : refused(`is not ${keySetForm}`);
    },
  };
}

function isOrigin(text: string): boolean {
  const withPort = text.replace(/:\*$/, ":1");
  if (!/^https?:\/\//.test(withPort) || !URL.canParse(withPort)) return false;
  const { protocol, host } = new URL(withPort);
  const isDefaultPort = withPort.endsWith(`:${protocol === "https:" ? 443 : 80}`);
  // A path, a user or an odd spelling would make an origin that no browser ever sends. A default port is left out by browsers.
  return !isDefaultPort && withPort === `${protocol}//${host}`;
}

interface NatsPart {
  readonly scheme: string;
  readonly address: string;
  readonly user: string;
  readonly pass: string;
}

function parseNatsUrls(text: string): Parsed<NatsTarget> {
  const parts = text.split(",").map((url) => natsPart(url.trim()));
  const known = parts.filter((part) => part !== undefined);
  const [first] = known;
  if (first === undefined || known.length < parts.length) return refused(`is not ${natsForm}`);
  if (known.some(({ scheme }) => scheme !== first.scheme)) {
    return refused("mixes nats:// and tls://");
  }
  const isSameUser = ({ user, pass }: NatsPart): boolean =>
    user === first.user && pass === first.pass;
  if (!known.every(isSameUser)) return refused("names different users for one cluster");
  const hasUser = first.user !== "";
  if (hasUser !== (first.pass !== "")) return refused("has a user or a password without the other");
  return accepted({
    url: known.map((part) => `nats://${part.address}`).join(","),
    ...(hasUser ? { user: first.user, pass: first.pass } : {}),
    requiresTls: first.scheme === "tls:",
  });
}

function natsPart(text: string): NatsPart | undefined {
  if (!/^(nats|tls):\/\//.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.hostname === "" || !["", "/"].includes(url.pathname + url.search + url.hash)) {
    return undefined;
  }
  try {
    const user = decodeURIComponent(url.username);
    const pass = decodeURIComponent(url.password);
    const address = `${url.hostname}:${url.port === "" ? "4222" : url.port}`;
    return { scheme: url.protocol, address, user, pass };
  } catch {
    // A percent sign that encodes nothing.
    return undefined;
  }
}
