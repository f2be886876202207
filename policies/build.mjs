// Compiles the built-in policies into wasm/ and the corpus beside its source, or
// both below the folder given.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import asc from "assemblyscript/asc";
import binaryen from "binaryen";

process.chdir(import.meta.dirname);
const out = process.argv[2] ?? ".";

for (const kind of ["admit", "route"]) {
  for (const file of list(`assembly/${kind}`, ".ts")) {
    const to = join(out, "wasm", kind, basename(file, ".ts") + ".wasm");
    mkdirSync(dirname(to), { recursive: true });
    // One memory of six pages holds the largest view; it never grows.
    const { error, stderr } = await asc.main([
      file, "-o", to, "-O3", "--noAssert", "--runtime", "stub", "--use", "abort=",
      "--initialMemory", "6", "--maximumMemory", "6",
    ]);
    if (error) fail(file, stderr.toString());
  }
}

const F = binaryen.Features;
const version2 = F.BulkMemory | F.BulkMemoryOpt | F.SIMD128 | F.Multivalue | F.ReferenceTypes |
  F.SignExt | F.NontrappingFPToInt | F.MutableGlobals | F.CallIndirectOverlong;
for (const group of ["plain", "refused", "run"]) {
  for (const file of list(`corpus/${group}`, ".wat")) {
    const module = binaryen.parseText(readFileSync(file, "utf8"));
    module.setFeatures(group == "refused" ? F.All : version2);
    if (!module.validate()) fail(file, "is not valid");
    const to = join(out, file.replace(/wat$/, "wasm"));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, module.emitBinary());
    module.dispose();
  }
}

function list(dir, suffix) {
  return readdirSync(dir).filter((f) => f.endsWith(suffix)).sort().map((f) => join(dir, f));
}

function fail(file, why) {
  console.error(`${file}: ${why}`);
  process.exit(1);
}
