// The OpenAI client as applications use it.
import assert from "node:assert/strict";
import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { answer, asked, base, cosine, holderName, isWeather, key, long, model, run, same, stop, stopped, weather, wrongKey } from "./check.mjs";

const connect = (apiKey) => new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
const client = connect(key);
const ask = { model, messages: asked, temperature: 0 };
const tools = [{ type: "function", function: { name: "weather", description: "Tells the weather.", parameters: weather, strict: true } }];
const long_answer = { type: "json_schema", json_schema: { name: "digits", schema: long } };

// collect puts a stream of chunks together.
async function collect(stream) {
  const all = { text: "", finish: null, usage: null, calls: [], logprobs: [], chunks: 0 };
  for await (const { choices: [choice], usage } of stream) {
    all.chunks++;
    all.usage = usage ?? all.usage;
    if (!choice) continue;
    all.text += choice.delta.content ?? "";
    all.finish = choice.finish_reason ?? all.finish;
    all.logprobs.push(...(choice.logprobs?.content ?? []));
    for (const { index, ...call } of choice.delta.tool_calls ?? []) {
      all.calls[index] ??= { id: call.id, function: { name: call.function.name, arguments: "" } };
      all.calls[index].function.arguments += call.function.arguments ?? "";
    }
  }
  return all;
}

const { prompt_tokens_details: _, ...usage } = (await client.chat.completions.create(ask)).usage;
let call;

await run("openai", {
  "models: list, get": async () => {
    assert.ok((await client.models.list()).data.some((m) => m.id === model));
    assert.equal((await client.models.retrieve(model)).id, model);
  },
  "chat": async () => {
    const { data, response } = await client.chat.completions.create(ask).withResponse();
    assert.equal(data.choices[0].message.content, answer);
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.equal(response.headers.get("x-omx-node-name"), holderName, "who answers is told");
  },
  "chat, streamed": async () => {
    const all = await collect(await client.chat.completions.create({ ...ask, stream: true }));
    assert.equal(all.text, answer);
    assert.equal(all.finish, "stop");
    assert.ok(all.chunks > 5, `${all.chunks} chunks`);
    assert.equal(await client.chat.completions.stream(ask).finalContent(), answer);
  },
  "chat: system turn": async () => {
    const data = await client.chat.completions.create({ ...ask, messages: [{ role: "system", content: "Be kind." }, ...asked] });
    assert.ok(data.usage.prompt_tokens > usage.prompt_tokens);
  },
  "usage": async () => {
    assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  },
  "usage, streamed": async () => {
    const all = await collect(await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }));
    const { prompt_tokens_details: details, ...counted } = all.usage;
    assert.deepEqual(counted, usage);
    assert.ok(details.cached_tokens < usage.prompt_tokens);
  },
  "stop text": async () => {
    const data = await client.chat.completions.create({ ...ask, stop: [stop] });
    assert.equal(data.choices[0].message.content, stopped);
    assert.equal(data.choices[0].finish_reason, "stop");
  },
  "token limit": async () => {
    const data = await client.chat.completions.create({ ...ask, max_completion_tokens: 3 });
    assert.equal(data.choices[0].finish_reason, "length");
    assert.equal(data.usage.completion_tokens, 3);
    assert.ok(answer.startsWith(data.choices[0].message.content));
  },
  "JSON schema": async () => {
    const schema = z.object({
      city: z.enum(["Oslo", "Lima"]), warm: z.boolean(), days: z.number().int().min(1).max(9),
      day: z.iso.date(), code: z.string().regex(/^[A-Z]{2}-\d+$/).max(6), by: z.email().max(30), share: z.number().gt(0).lt(1), price: z.number().min(-5).multipleOf(0.01),
    });
    const data = await client.chat.completions.parse({ ...ask, max_tokens: 400, response_format: zodResponseFormat(schema, "weather") }); // Zod checks it
    const { city, warm, days } = data.choices[0].message.parsed;
    isWeather({ city, warm, days });
  },
  "JSON of any form": async () => {
    const data = await client.chat.completions.create({ ...ask, seed: 1, max_tokens: 400, response_format: { type: "json_object" } });
    if (data.choices[0].finish_reason === "stop") JSON.parse(data.choices[0].message.content);
    return data.choices[0].finish_reason;
  },
  "tool call": async () => {
    const data = await client.chat.completions.create({ ...ask, tools, tool_choice: "required" });
    assert.equal(data.choices[0].finish_reason, "tool_calls");
    call = data.choices[0].message.tool_calls[0];
    assert.equal(call.function.name, "weather");
    isWeather(JSON.parse(call.function.arguments));
  },
  "tool call, streamed": async () => {
    const all = await collect(await client.chat.completions.create({ ...ask, tools, tool_choice: { type: "function", function: { name: "weather" } }, stream: true }));
    assert.equal(all.finish, "tool_calls");
    assert.equal(all.calls[0].function.name, "weather");
    assert.ok(all.calls[0].id);
    isWeather(JSON.parse(all.calls[0].function.arguments));
  },
  "tool result": async () => {
    const turns = [...asked, { role: "assistant", content: null, tool_calls: [call] }, { role: "tool", tool_call_id: call.id, content: "sunny" }];
    const data = await client.chat.completions.create({ ...ask, messages: turns, tools, tool_choice: "none" });
    assert.ok(data.choices[0].message.content.length > 0);
    assert.equal(data.choices[0].message.tool_calls, undefined);
    assert.ok(data.usage.prompt_tokens > usage.prompt_tokens);
  },
  "tool offered, not called": async () => {
    const data = await client.chat.completions.create({ ...ask, tools });
    assert.equal(data.choices[0].finish_reason, "stop");
  },
  "embeddings": async () => {
    const [float, other] = (await client.embeddings.create({ model, input: ["a river", "a horse"], encoding_format: "float" })).data;
    assert.ok(cosine(float.embedding, other.embedding) < 0.9999);
    const usual = await client.embeddings.create({ model, input: "a river" }); // the client asks for base64 and decodes
    same(usual.data[0].embedding, float.embedding);
    assert.ok(usual.usage.prompt_tokens > 0);
    return `${float.embedding.length} dimensions`;
  },
  "embeddings, base64": async () => {
    const [float, packed] = await Promise.all(["float", "base64"].map((encoding_format) => client.embeddings.create({ model, input: "a river", encoding_format })));
    const bytes = Buffer.from(packed.data[0].embedding, "base64");
    same([...Array(bytes.length / 4).keys()].map((i) => bytes.readFloatLE(4 * i)), float.data[0].embedding);
  },
  "logprobs": async () => {
    const ask_for = { ...ask, logprobs: true, top_logprobs: 2 };
    const whole = (await client.chat.completions.create(ask_for)).choices[0].logprobs.content;
    assert.equal(whole.map((l) => l.token).join(""), answer);
    assert.ok(whole.every((l) => l.logprob <= 0 && l.top_logprobs.length === 2 && l.top_logprobs[0].token === l.token));
    const all = await collect(await client.chat.completions.create({ ...ask_for, stream: true }));
    assert.deepEqual(all.logprobs.map((l) => l.token), whole.map((l) => l.token));
  },
  "completions": async () => {
    const whole = await client.completions.create({ model, prompt: "A river is", temperature: 0, max_tokens: 8 });
    let text = "";
    for await (const c of await client.completions.create({ model, prompt: "A river is", temperature: 0, max_tokens: 8, stream: true })) text += c.choices[0]?.text ?? "";
    assert.ok(text.length > 0);
    assert.equal(whole.choices[0].text, text);
  },
  "responses": async () => {
    const data = await client.responses.create({ model, input: asked, temperature: 0, store: false });
    assert.equal(data.output_text, answer);
    assert.equal(data.status, "completed");
    assert.equal(data.usage.output_tokens, usage.completion_tokens);
  },
  "responses, streamed": async () => {
    let text = "", last;
    for await (const e of await client.responses.create({ model, input: asked, temperature: 0, store: false, stream: true })) {
      if (e.type === "response.output_text.delta") text += e.delta;
      last = e;
    }
    assert.equal(text, answer);
    assert.equal(last.type, "response.completed");
    assert.equal(last.response.output[0].content[0].text, answer);
  },
  "responses: tool call and result": async () => {
    const tool = { type: "function", name: "weather", parameters: weather, strict: true };
    const data = await client.responses.create({ model, input: asked, temperature: 0, store: false, tools: [tool], tool_choice: "required" });
    const made = data.output.find((o) => o.type === "function_call");
    isWeather(JSON.parse(made.arguments));
    const input = [...asked, ...data.output, { type: "function_call_output", call_id: made.call_id, output: "sunny" }];
    assert.ok((await client.responses.create({ model, input, temperature: 0, store: false })).output_text.length > 0);
  },
  "responses: JSON schema": async () => {
    const format = { type: "json_schema", name: "weather", schema: weather, strict: true };
    isWeather(JSON.parse((await client.responses.create({ model, input: asked, temperature: 0, store: false, text: { format } })).output_text));
  },
  "abort of a stream": async () => {
    const stream = await client.chat.completions.create({ ...ask, response_format: long_answer, stream: true });
    let n = 0;
    for await (const _ of stream) if (++n === 5) break; // leaving the loop cancels the request
    assert.equal(n, 5);
    const control = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of client.chat.completions.stream({ ...ask, response_format: long_answer }, { signal: control.signal })) control.abort();
    }, APIUserAbortError);
    assert.equal((await client.chat.completions.create(ask)).choices[0].message.content, answer);
  },
  "error: unknown model": async () => {
    await assert.rejects(client.chat.completions.create({ ...ask, model: "no-such-model" }), NotFoundError);
    await assert.rejects(client.models.retrieve("no-such-model"), NotFoundError);
    await assert.rejects(client.embeddings.create({ model: "no-such-model", input: "x" }), NotFoundError);
    await assert.rejects(client.responses.create({ model: "no-such-model", input: "x" }), NotFoundError);
  },
  "error: bad parameter": async () => {
    await assert.rejects(client.chat.completions.create({ ...ask, temperature: -1 }), (e) => e instanceof BadRequestError && e.param === "temperature");
    await assert.rejects(client.chat.completions.create({ ...ask, messages: [] }), BadRequestError);
    await assert.rejects(client.chat.completions.create({ ...ask, tools: [], tool_choice: "required" }), BadRequestError);
    await assert.rejects(client.embeddings.create({ model, input: [] }), BadRequestError);
  },
  "error: wrong key": async () => {
    await assert.rejects(connect(wrongKey).chat.completions.create(ask), AuthenticationError);
    await assert.rejects(connect(wrongKey).models.list(), AuthenticationError);
  },
});
