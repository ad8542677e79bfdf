import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, type DescMessage } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/**
 * The suite's own messages, of which no code is generated: they are read from its descriptors, and these types name the
 * fields that are used here.
 */
export interface HeaderField {
  readonly name: string;
  readonly value: readonly string[];
}

export interface WireError {
  readonly code: number;
  readonly message?: string;
  readonly details: readonly PackedAny[];
}

export interface PackedAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

interface Definition {
  readonly responseHeaders: readonly HeaderField[];
  readonly responseTrailers: readonly HeaderField[];
  readonly responseDelayMs: number;
}

export interface UnaryDefinition extends Definition {
  readonly response:
    | { readonly case: "responseData"; readonly value: Uint8Array }
    | { readonly case: "error"; readonly value: WireError }
    | { readonly case: undefined };
}

export interface StreamDefinition extends Definition {
  readonly responseData: readonly Uint8Array[];
  readonly error?: WireError;
}

export interface ServerRequest {
  readonly useTls: boolean;
  readonly clientTlsCert: Uint8Array;
  readonly serverCreds?: { readonly key: Uint8Array; readonly cert: Uint8Array };
  readonly messageReceiveLimit: number;
}

const descriptors = process.env["CONFORMANCE_DESCRIPTORS"] ?? "";
export const registry: ReturnType<typeof createFileRegistry> = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)),
);

/** `name`: without the package. */
export function messageOf(name: string): DescMessage {
  const found = registry.getMessage(`connectrpc.conformance.v1.${name}`);
  if (found === undefined) throw new Error(`the suite has no message ${name}`);
  return found;
}
