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

// Contracts of Safe, taken as published: what stands on public chains was made from exactly this creation code.
const safePackage = "@safe-global/safe-contracts";
const safeContracts = [
  "SafeL2.sol/SafeL2",
  "proxies/SafeProxyFactory.sol/SafeProxyFactory",
  "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler",
  "libraries/MultiSend.sol/MultiSend",
  "libraries/MultiSendCallOnly.sol/MultiSendCallOnly",
];

// 2394: transient storage, used only by the library's reentrancy guard, which clears it at the end of each call.
const acceptedWarnings = new Set(["2394"]);

// Items of the library contracts that carry no text there.
const undocumentedByLibrary = new Set(["DEFAULT_ADMIN_ROLE", "InvalidShortString", "StringTooLong"]);

const outputs = [
  "abi",
  "devdoc",
  "userdoc",
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

function typeOf(input) {
  return input.type.startsWith("tuple") ? `(${input.components.map(typeOf).join(",")})${input.type.slice(5)}` : input.type;
}

// Functions, events and errors need a text (those of the library have a developer's); our functions and events need one
// for every parameter too. Getters of mappings cannot have one.
function undocumentedItems({ abi, devdoc, userdoc }) {
  const groups = { function: "methods", event: "events", error: "errors" };
  return abi
    .filter((entry) => Object.hasOwn(groups, entry.type) && !undocumentedByLibrary.has(entry.name))
    .flatMap((entry) => {
      const key = `${entry.name}(${entry.inputs.map(typeOf).join(",")})`;
      const texts = [userdoc, devdoc].map((document) => [document[groups[entry.type]]?.[key] ?? {}].flat()[0]);
      if (!texts[0].notice) return texts[1].details ? [] : [`${entry.type} ${key}`];
      const isGetter = entry.stateMutability === "view" && !texts[1].params;
      if (entry.type === "error" || isGetter) return [];
      return entry.inputs
        .filter((input) => !texts[1].params?.[input.name])
        .map((input) => `${entry.type} ${key}, parameter ${input.name}`);
    });
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

  const undocumented = Object.keys(sources)
    .filter((path) => !path.startsWith("sources/test/"))
    .flatMap((path) => Object.entries(output.contracts[path] ?? {}))
    .flatMap(([name, contract]) => undocumentedItems(contract).map((item) => `${name}: ${item}`));
  if (undocumented.length > 0) {
    process.stderr.write(`public items without NatSpec:\n${undocumented.join("\n")}\n`);
    process.exit(1);
  }

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

// MultiSend keeps its own address in its code (an immutable value): the one place of 32 bytes that is zero and pushed.
function immutableRanges(deployedBytecode) {
  const place = `7f${"00".repeat(32)}`;
  const at = deployedBytecode.slice(2).indexOf(place);
  return at < 0 ? [] : [[at / 2 + 1, 32]];
}

function published() {
  return safeContracts.map((path) => {
    const file = join(root, "node_modules", safePackage, "build", "artifacts", "contracts", `${path}.json`);
    const { contractName, abi, bytecode, deployedBytecode } = JSON.parse(readFileSync(file, "utf8"));
    const source = `${safePackage}/contracts/${path.slice(0, path.lastIndexOf("/"))}`;
    const ranges = contractName === "MultiSend" ? immutableRanges(deployedBytecode) : [];
    const artifact = { name: contractName, source, abi, bytecode, deployedBytecode, immutableRanges: ranges };
    return [`${contractName}.json`, `${JSON.stringify(artifact, null, 1)}\n`];
  });
}

function staleOutputs(artifacts) {
  const committed = readdirSync(compiledFolder).filter((name) => name.endsWith(".json"));
  const differing = [...artifacts].filter(([name, text]) => {
    const path = join(compiledFolder, name);
    return !existsSync(path) || readFileSync(path, "utf8") !== text;
  });
  return [...differing.map(([name]) => name), ...committed.filter((name) => !artifacts.has(name))];
}

const artifacts = new Map([...compile(), ...published()]);
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
