// The Anthropic client as applications use it.
import assert from "node:assert/strict";
import Anthropic, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { answer, asked, base, isWeather, key, long, model, run, stop, stopped, weather, wrongKey } from "./check.mjs";

const connect = (apiKey) => new Anthropic({ baseURL: base, apiKey, authToken: null, maxRetries: 0 });
const client = connect(key);
const ask = { model, messages: asked, temperature: 0, max_tokens: 400 };
const tools = [{ name: "weather", description: "Tells the weather.", input_schema: weather }];
const form = (schema) => ({ output_config: { format: { type: "json_schema", schema } } });
let usage, call;

await run("@anthropic-ai/sdk", {
  "models: list, get": async () => {
    const all = [];
    for await (const m of client.models.list()) all.push(m);
    const one = await client.models.retrieve(model);
    assert.equal(one.type, "model");
    assert.ok(one.display_name && !isNaN(Date.parse(one.created_at)));
    assert.deepEqual(all.find((m) => m.id === model), one);
  },
  "chat": async () => {
    const data = await client.messages.create(ask);
    assert.deepEqual(data.content.map((c) => c.text), [answer]);
    assert.equal(data.stop_reason, "end_turn");
    usage = data.usage;
  },
  "chat, streamed": async () => {
    let text = "";
    const stream = client.messages.stream(ask).on("text", (t) => (text += t));
    const data = await stream.finalMessage();
    assert.equal(text, answer);
    assert.deepEqual(data.content.map((c) => c.text), [answer]);
    assert.equal(data.stop_reason, "end_turn");
  },
  "chat: system turn": async () => {
    const data = await client.messages.create({ ...ask, system: [{ type: "text", text: "Be kind." }] });
    assert.ok(data.usage.input_tokens + (data.usage.cache_read_input_tokens ?? 0) > usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
  },
  "usage": async () => assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0),
  "usage, streamed": async () => {
    const data = await client.messages.stream(ask).finalMessage();
    assert.equal(data.usage.output_tokens, usage.output_tokens);
    const read = (u) => u.input_tokens + (u.cache_read_input_tokens ?? 0);
    assert.equal(read(data.usage), read(usage));
  },
  "stop text": async () => {
    const data = await client.messages.create({ ...ask, stop_sequences: [stop] });
    assert.equal(data.content[0].text, stopped);
    assert.equal(data.stop_reason, "stop_sequence");
    assert.equal(data.stop_sequence, stop);
  },
  "token limit": async () => {
    const data = await client.messages.create({ ...ask, max_tokens: 3 });
    assert.equal(data.stop_reason, "max_tokens");
    assert.equal(data.usage.output_tokens, 3);
    assert.ok(answer.startsWith(data.content[0].text));
  },
  "JSON schema": async () => {
    isWeather(JSON.parse((await client.messages.create({ ...ask, ...form(weather) })).content[0].text));
    const format = zodOutputFormat(z.object({ city: z.enum(["Oslo", "Lima"]), warm: z.boolean() })); // it sends limits as descriptions only
    assert.equal(typeof (await client.messages.parse({ ...ask, output_config: { format } })).parsed_output.warm, "boolean");
  },
  "tool call": async () => {
    const data = await client.messages.create({ ...ask, tools, tool_choice: { type: "tool", name: "weather" } });
    assert.equal(data.stop_reason, "tool_use");
    call = data.content.find((c) => c.type === "tool_use");
    assert.equal(call.name, "weather");
    isWeather(call.input);
  },
  "tool call, streamed": async () => {
    let json = "";
    const stream = client.messages.stream({ ...ask, tools, tool_choice: { type: "any" } }).on("inputJson", (part) => (json += part));
    const data = await stream.finalMessage();
    assert.equal(data.stop_reason, "tool_use");
    const made = data.content.find((c) => c.type === "tool_use");
    isWeather(made.input);
    assert.deepEqual(JSON.parse(json), made.input);
  },
  "tool result": async () => {
    const turns = [...asked, { role: "assistant", content: [call] }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }] }];
    const data = await client.messages.create({ ...ask, messages: turns, tools, tool_choice: { type: "none" } });
    assert.deepEqual(data.content.map((c) => c.type), ["text"]);
    assert.ok(data.content[0].text.length > 0);
  },
  "tool offered, not called": async () => assert.equal((await client.messages.create({ ...ask, tools })).stop_reason, "end_turn"),
  "count of tokens": async () => {
    const plain = (await client.messages.countTokens({ model, messages: asked })).input_tokens;
    assert.equal(plain, usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
    assert.ok((await client.messages.countTokens({ model, messages: asked, tools })).input_tokens > plain);
    return `${plain} tokens`;
  },
  "abort of a stream": async () => {
    let n = 0;
    for await (const _ of await client.messages.create({ ...ask, ...form(long), stream: true })) if (++n === 8) break;
    assert.equal(n, 8);
    const stream = client.messages.stream({ ...ask, ...form(long) });
    stream.on("text", () => stream.abort());
    await assert.rejects(stream.finalMessage(), APIUserAbortError);
    assert.equal((await client.messages.create(ask)).content[0].text, answer);
  },
  "error: unknown model": async () => {
    const unknown = { ...ask, model: "no-such-model" };
    await assert.rejects(client.messages.create(unknown), (e) => e instanceof NotFoundError && e.error.error.type === "not_found_error");
    await assert.rejects(client.messages.countTokens({ model: "no-such-model", messages: asked }), NotFoundError);
    await assert.rejects(client.models.retrieve("no-such-model"), NotFoundError);
  },
  "error: bad parameter": async () => {
    await assert.rejects(client.messages.create({ ...ask, temperature: -1 }), (e) => e instanceof BadRequestError && e.error.error.type === "invalid_request_error");
    await assert.rejects(client.messages.create({ ...ask, messages: [] }), BadRequestError);
    await assert.rejects(client.messages.create({ ...ask, tool_choice: { type: "any" } }), BadRequestError);
  },
  "error: wrong key": async () => {
    await assert.rejects(connect(wrongKey).messages.create(ask), (e) => e instanceof AuthenticationError && e.error.error.type === "authentication_error");
    await assert.rejects(new Anthropic({ baseURL: base, apiKey: null, authToken: wrongKey, maxRetries: 0 }).messages.create(ask), AuthenticationError);
  },
});
