// Reads EIP-712 documents (a JSON array) and prints the digests a wallet library computes for them.
import { readFileSync } from "node:fs";
import { hashTypedData } from "viem";

const documents = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(documents.map((document) => hashTypedData(document))));
