// Compiles sources/ with the pinned compiler and library contracts into src/snowrail_evm/compiled/<Contract>.json.
//   node compile.mjs          writes the build outputs
//   node compile.mjs --check  writes nothing; fails when a committed output differs from what the sources compile to
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const root = dirname(fileURLToPath(import.meta.url));
const sourcesFolder = join(root, "sources");
const compiledFolder = join(root, "src", "snowrail_evm", "compiled");

// 2394: transient storage, used only by the library's reentrancy guard, which clears it at the end of each call.
const acceptedWarnings = new Set(["2394"]);

const outputs = [
  "abi",
  "evm.bytecode.object",
  "evm.deployedBytecode.object",
  "evm.deployedBytecode.immutableReferences",
];

function solidityFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return solidityFiles(path);
      return entry.name.endsWith(".sol") ? [path] : [];
    })
    .sort();
}

function compile() {
  const sources = Object.fromEntries(
    solidityFiles(sourcesFolder).map((path) => [
      relative(root, path).replaceAll("\\", "/"),
      { content: readFileSync(path, "utf8") },
    ]),
  );
  const input = {
    language: "Solidity",
    sources,
    settings: {
      evmVersion: "cancun",
      viaIR: true,
      optimizer: { enabled: true, runs: 10_000 },
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": outputs } },
    },
  };
  const readImport = (path) => ({ contents: readFileSync(join(root, "node_modules", path), "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  const problems = (output.errors ?? []).filter((problem) => !acceptedWarnings.has(problem.errorCode));
  for (const problem of problems) process.stderr.write(problem.formattedMessage);
  if (problems.length > 0) process.exit(1);

  const artifacts = new Map();
  for (const path of Object.keys(sources)) {
    for (const [name, contract] of Object.entries(output.contracts[path] ?? {})) {
      const deployable = contract.evm.bytecode.object !== "" && contract.abi.some((entry) => entry.type === "function");
      if (!deployable) continue; // interfaces, and libraries of internal functions
      const artifact = {
        name,
        source: path,
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
        immutableRanges: Object.values(contract.evm.deployedBytecode.immutableReferences)
          .flat()
          .map(({ start, length }) => [start, length])
          .sort((left, right) => left[0] - right[0]),
      };
      artifacts.set(`${name}.json`, `${JSON.stringify(artifact, null, 1)}\n`);
    }
  }
  return artifacts;
}

function staleOutputs(artifacts) {
  const committed = readdirSync(compiledFolder).filter((name) => name.endsWith(".json"));
  const differing = [...artifacts].filter(([name, text]) => {
    const path = join(compiledFolder, name);
    return !existsSync(path) || readFileSync(path, "utf8") !== text;
  });
  return [...differing.map(([name]) => name), ...committed.filter((name) => !artifacts.has(name))];
}

const artifacts = compile();
const stale = staleOutputs(artifacts);
if (process.argv.includes("--check")) {
  if (stale.length > 0) {
    process.stderr.write(`build outputs differ from their sources: ${stale.join(", ")}\n`);
    process.exit(1);
  }
} else {
  for (const name of stale) {
    if (artifacts.has(name)) writeFileSync(join(compiledFolder, name), artifacts.get(name));
    else rmSync(join(compiledFolder, name));
  }
  process.stdout.write(`${artifacts.size} contracts, ${stale.length} outputs changed\n`);
}
