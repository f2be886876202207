// Compiles the built-in policies into wasm/ and the corpus beside its source, or
// both below the folder given.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import asc from "assemblyscript/asc";
import binaryen from "binaryen";

process.chdir(import.meta.dirname);
const out = process.argv[2] ?? ".";

for (const kind of ["admit", "route", "replicate"]) {
  for (const file of list(`assembly/${kind}`, ".ts")) {
    const to = join(out, "wasm", kind, basename(file, ".ts") + ".wasm");
    mkdirSync(dirname(to), { recursive: true });
    // Memory begins as small as the policy's tables allow, and may grow to hold
    // the largest view: 1.1 MiB, for which the host asks for 2 MiB.
    const { error, stderr } = await asc.main([
      file, "-o", to, "-O3", "--noAssert", "--runtime", "stub", "--use", "abort=",
      "--maximumMemory", "40",
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
