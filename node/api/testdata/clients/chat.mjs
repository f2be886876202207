// Talks to a node with the official OpenAI and Ollama clients, as an
// application would: node chat.mjs BASE_URL MODEL. Prints what it saw as one
// line of JSON; ends with 1 if anything is not as these clients expect.
import assert from "node:assert/strict";
import OpenAI, { NotFoundError, BadRequestError } from "openai";
import { Ollama } from "ollama";

const [base, model] = process.argv.slice(2);
const question = [{ role: "user", content: "Who are you?" }];

const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });
const models = (await openai.models.list()).data.map((m) => m.id);
assert.ok(models.includes(model), `${model} is listed`);
assert.equal((await openai.models.retrieve(model)).id, model);

const { data: whole, response } = await openai.chat.completions
  .create({ model, messages: question, temperature: 0, max_tokens: 64 })
  .withResponse();
const answer = whole.choices[0].message.content;
assert.ok(answer.length > 0);
assert.ok(["stop", "length"].includes(whole.choices[0].finish_reason));
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
assert.ok(whole.usage.completion_tokens > 0);

let streamed = "";
let usage = null;
let finish = null;
const stream = await openai.chat.completions.create({
  model, messages: question, temperature: 0, max_tokens: 64, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  finish = chunk.choices[0]?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}
assert.equal(streamed, answer, "the streamed answer is the whole one");
assert.equal(finish, whole.choices[0].finish_reason);
const { prompt_tokens_details: cached, ...counted } = usage; // the same question again: its beginning may be cached
const { prompt_tokens_details: _before, ...wholeCounted } = whole.usage;
assert.deepEqual(counted, wholeCounted);
assert.ok(cached.cached_tokens >= 0 && cached.cached_tokens < usage.prompt_tokens);

const aborted = await openai.chat.completions.create({ model, messages: question, stream: true });
for await (const _ of aborted) break; // leaving the loop cancels the request

await assert.rejects(openai.chat.completions.create({ model: "no-such-model", messages: question }), NotFoundError);
await assert.rejects(openai.chat.completions.create({ model, messages: [] }), BadRequestError);
await assert.rejects(openai.chat.completions.create({ model, messages: question, temperature: -1 }), BadRequestError);

const ollama = new Ollama({ host: base });
const tags = (await ollama.list()).models.map((m) => m.name);
assert.ok(tags.includes(model));
const options = { temperature: 0, num_predict: 64 };
const plain = await ollama.chat({ model, messages: question, options });
assert.equal(plain.message.content, answer, "both APIs give the same answer");
assert.equal(plain.done, true);
let lines = "";
let last = null;
for await (const part of await ollama.chat({ model, messages: question, options, stream: true })) {
  lines += part.message.content;
  last = part;
}
assert.equal(lines, answer);
assert.equal(last.eval_count, usage.completion_tokens);
await assert.rejects(ollama.chat({ model: "no-such-model", messages: question }), /no-such-model/);

console.log(JSON.stringify({ models, answer, usage, finish, node: response.headers.get("x-omx-node-name"),
  decision: response.headers.get("x-omx-decision"), policy: response.headers.get("x-omx-policy") }));
