import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "vite";
import { Licences } from "./licences.ts";
import { filesIn } from "./sources.ts";

const packed = /\.(html|js|css|svg|md)$/;

/** Built files, and what all of them measure for a browser that reads gzip. */
export interface BuiltSite {
  readonly files: number;
  readonly gzipBytes: number;
}

/** Builds `dist/site`, with a packed copy beside each file, so that the router packs nothing while it serves. */
export async function buildSite(folder: string): Promise<BuiltSite> {
  const outDir = join(folder, "dist/site");
  const licences = new Licences();
  await build({
    root: folder,
    configFile: false,
    base: "./",
    // Warnings would be of packages that look for Node and do without.
    logLevel: "error",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    plugins: [licences.plugin()],
    worker: { format: "es", plugins: () => [licences.plugin()] },
    build: {
      outDir,
      // A data: address would be refused by the page's own policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
  await licences.write(join(outDir, "licences.md"));
  const files = await filesIn(outDir);
  const sizes = await Promise.all(files.map((file) => pack(file)));
  return { files: files.length, gzipBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function pack(file: string): Promise<number> {
  const content = await readFile(file);
  if (!packed.test(file)) return content.length;
  const [small, smaller] = await Promise.all([
    promisify(gzip)(content, { level: 9 }),
    promisify(brotliCompress)(content, {
      params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
    }),
  ]);
  await Promise.all([writeFile(`${file}.gz`, small), writeFile(`${file}.br`, smaller)]);
  return small.length;
}
