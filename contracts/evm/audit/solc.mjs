#!/usr/bin/env node
// The pinned compiler of npm behind the command line of the native one, as far as forge, crytic-compile and halmos use
// it: `--version`, and `--standard-json` on standard input. There is no native compiler among the packages.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const room = dirname(dirname(fileURLToPath(import.meta.url)));
const solc = createRequire(join(room, "package.json"))("solc");

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (process.argv.includes("--standard-json")) {
  const roots = [room, join(room, "node_modules"), process.cwd()];
  const find = (path) => {
    const found = roots.map((root) => join(root, path)).find(existsSync);
    return found ? { contents: readFileSync(found, "utf8") } : { error: `${path} not found` };
  };
  process.stdout.write(solc.compile(readFileSync(0, "utf8"), { import: find }));
} else {
  process.stderr.write("only --version and --standard-json are supported\n");
  process.exit(2);
}
