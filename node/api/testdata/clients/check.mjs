// What the checks of all clients share: where the node is, what its answers
// must be, and a line of JSON for each check that was made. The environment says
// the rest, so that questions and answers are written down once, in the test.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const env = (name) => {
  assert.ok(process.env[name], `${name} is not set; these checks are run by go test ./cmd/omx`);
  return process.env[name];
};
export const base = env("OMX_URL"); // of a node that does not hold the model
export const holder = env("OMX_HOLDER"); // of the one that does
export const holderName = env("OMX_HOLDER_NAME");
export const model = env("OMX_MODEL");
export const modelFile = env("OMX_MODEL_FILE");
export const key = env("OMX_KEY");
export const wrongKey = "omx-wrong";
export const answer = env("OMX_ANSWER"); // word for word, at temperature 0
export const asked = [{ role: "user", content: env("OMX_QUESTION") }];

// A stop text in the answer, and what comes before it.
export const stop = env("OMX_STOP");
export const stopped = answer.slice(0, answer.indexOf(stop));

// The form of an answer, and of a tool's arguments: small, since the model
// knows neither and only the grammar leads it.
export const weather = {
  type: "object",
  properties: { city: { type: "string", enum: ["Oslo", "Lima"] }, warm: { type: "boolean" }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city", "warm", "days"],
  additionalProperties: false,
};

export function isWeather(v) {
  assert.deepEqual(Object.keys(v).sort(), ["city", "days", "warm"]);
  assert.ok(["Oslo", "Lima"].includes(v.city), `city is ${v.city}`);
  assert.equal(typeof v.warm, "boolean");
  assert.ok(Number.isInteger(v.days) && v.days >= 1 && v.days <= 9, `days is ${v.days}`);
}

// An answer that is long enough to be left in its middle.
export const long = { type: "array", items: { type: "integer", minimum: 0, maximum: 9 }, minItems: 200, maxItems: 200 };

export function cosine(a, b) {
  assert.equal(a.length, b.length);
  const dot = (x, y) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

export function same(a, b) {
  assert.ok(a.length > 1, `${a.length} dimensions`);
  assert.ok(Math.abs(cosine(a, b) - 1) < 1e-5, `cosine ${cosine(a, b)}`);
}

export const version = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;

// run makes the checks of a client, one after the other; what one returns is its
// detail.
export async function run(client, checks) {
  for (const [check, make] of Object.entries(checks)) {
    const line = { client, version: version(client), check, ok: true, detail: "" };
    try {
      line.detail = String((await make()) ?? "");
    } catch (e) {
      line.ok = false;
      line.detail = String(e?.stack ?? e).slice(0, 2000);
    }
    console.log(JSON.stringify(line));
  }
}
