// The Ollama client as applications use it. What changes models is asked of the
// node that holds them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Ollama } from "ollama";
import { answer, asked, base, cosine, holder, isWeather, key, long, model, modelFile, run, stop, stopped, weather, wrongKey } from "./check.mjs";

const connect = (host, secret) => new Ollama({ host, headers: { Authorization: `Bearer ${secret}` } });
const client = connect(base, key);
const manager = connect(holder, key);
const ask = { model, messages: asked, options: { temperature: 0 } };
const tools = [{ type: "function", function: { name: "weather", description: "Tells the weather.", parameters: weather } }];
const status = (code) => (e) => e.name === "ResponseError" && e.status_code === code;
const names = async () => (await manager.list()).models.map((m) => m.name);
let usage;

await run("ollama", {
  "models: list, get": async () => {
    assert.ok((await client.list()).models.some((m) => m.name === model && m.size > 0));
    const shown = await client.show({ model });
    assert.equal(shown.details.format, "gguf");
    assert.ok(shown.capabilities.includes("completion"));
  },
  "models: running": async () => {
    const m = (await client.ps()).models.find((m) => m.name === model);
    assert.ok(m.size > 0 && Date.parse(m.expires_at) > Date.now());
  },
  "version": async () => assert.ok((await client.version()).version),
  "chat": async () => {
    const data = await client.chat(ask);
    assert.equal(data.message.content, answer);
    assert.equal(data.message.role, "assistant");
    assert.equal(data.done_reason, "stop");
    usage = data;
  },
  "chat, streamed": async () => {
    let text = "", last, n = 0;
    for await (const part of await client.chat({ ...ask, stream: true })) {
      text += part.message.content;
      last = part;
      n++;
    }
    assert.equal(text, answer);
    assert.ok(last.done && n > 5, `${n} parts`);
    assert.equal(last.eval_count, usage.eval_count);
    assert.equal(last.prompt_eval_count, usage.prompt_eval_count);
  },
  "chat: system turn": async () => {
    const data = await client.chat({ ...ask, messages: [{ role: "system", content: "Be kind." }, ...asked] });
    assert.ok(data.prompt_eval_count > usage.prompt_eval_count);
  },
  "generate": async () => assert.equal((await client.generate({ model, prompt: asked[0].content, options: ask.options })).response, answer),
  "generate, streamed": async () => {
    let text = "";
    for await (const part of await client.generate({ model, prompt: asked[0].content, options: ask.options, stream: true })) text += part.response;
    assert.equal(text, answer);
  },
  "usage": async () => {
    assert.ok(usage.prompt_eval_count > 0 && usage.eval_count > 0);
    assert.ok(usage.total_duration > 0 && usage.eval_duration > 0 && usage.eval_duration <= usage.total_duration);
  },
  "stop text": async () => {
    const data = await client.chat({ ...ask, options: { temperature: 0, stop: [stop] } });
    assert.equal(data.message.content, stopped);
    assert.equal(data.done_reason, "stop");
  },
  "token limit": async () => {
    const data = await client.chat({ ...ask, options: { temperature: 0, num_predict: 3 } });
    assert.equal(data.done_reason, "length");
    assert.equal(data.eval_count, 3);
  },
  "JSON schema": async () => {
    isWeather(JSON.parse((await client.chat({ ...ask, format: weather })).message.content));
    isWeather(JSON.parse((await client.generate({ model, prompt: asked[0].content, options: ask.options, format: weather })).response));
  },
  "JSON of any form": async () => {
    const data = await client.chat({ ...ask, format: "json", options: { temperature: 0, num_predict: 400 } });
    if (data.done_reason === "stop") JSON.parse(data.message.content);
    return data.done_reason;
  },
  "tool offered, not called": async () => { // nothing in this API forces a call
    const data = await client.chat({ ...ask, tools });
    assert.equal(data.done_reason, "stop");
    assert.equal(data.message.tool_calls, undefined);
  },
  "tool result": async () => {
    const call = { function: { name: "weather", arguments: { city: "Oslo", warm: true, days: 1 } } };
    const turns = [...asked, { role: "assistant", content: "", tool_calls: [call] }, { role: "tool", content: "sunny", tool_name: "weather" }];
    const data = await client.chat({ ...ask, messages: turns });
    assert.ok(data.message.content.length > 0);
    assert.ok(data.prompt_eval_count > usage.prompt_eval_count);
  },
  "embeddings": async () => {
    const { embeddings, prompt_eval_count } = await client.embed({ model, input: ["a river", "a horse"] });
    assert.ok(prompt_eval_count > 0);
    assert.ok(cosine(...embeddings) < 0.9999);
    const old = (await client.embeddings({ model, prompt: "a river" })).embedding;
    assert.ok(Math.abs(cosine(old, embeddings[0]) - 1) < 1e-5);
    return `${old.length} dimensions`;
  },
  "logprobs": async () => {
    const { logprobs } = await client.chat({ ...ask, logprobs: true, top_logprobs: 2 });
    assert.equal(logprobs.map((l) => l.token).join(""), answer);
    assert.ok(logprobs.every((l) => l.logprob <= 0 && l.top_logprobs.length === 2));
  },
  "models: unload, load": async () => {
    const running = async () => (await manager.ps()).models.some((m) => m.name === model);
    assert.equal((await manager.generate({ model, prompt: "", keep_alive: 0 })).done_reason, "unload");
    while (await running()); // it goes once nobody uses it; the test's own limit ends the wait
    assert.equal((await manager.generate({ model, prompt: "", keep_alive: -1 })).done_reason, "load");
    assert.ok(await running(), "it is loaded");
  },
  "models: create, copy, delete": async () => {
    const file = readFileSync(modelFile);
    const digest = "sha256:" + createHash("sha256").update(file).digest("hex");
    // The client has no call for blobs; its users send them as this does.
    const sent = await fetch(`${holder}/api/blobs/${digest}`, { method: "POST", body: file, headers: { Authorization: `Bearer ${key}` } });
    assert.equal(sent.status, 201);
    assert.equal((await manager.create({ model: "made", files: { "demo.gguf": digest }, stream: false })).status, "success");
    let last;
    for await (const part of await manager.create({ model: "kind", from: "made", system: "Be kind.", parameters: { temperature: 0 }, stream: true })) last = part;
    assert.equal(last.status, "success");
    assert.equal((await manager.copy({ source: "made", destination: "copied" })).status, "success");
    for (const m of ["made", "kind", "copied"]) assert.ok((await names()).includes(m), `${m} is listed`);
    assert.equal((await manager.chat({ ...ask, model: "copied" })).message.content, answer);
    for (const m of ["made", "kind", "copied"]) assert.equal((await manager.delete({ model: m })).status, "success");
    for (const m of ["made", "kind", "copied"]) assert.ok(!(await names()).includes(m), `${m} is gone`);
    await assert.rejects(manager.delete({ model: "made" }), status(404));
  },
  "abort of a stream": async () => {
    let n = 0, whole = false;
    const stream = await client.chat({ ...ask, format: long, stream: true });
    await assert.rejects(async () => {
      for await (const part of stream) {
        if (++n === 5) stream.abort();
        whole ||= part.done;
      }
    }, { name: "AbortError" });
    // Not always 5: the client still hands on lines that came in one piece with the fifth.
    assert.ok(n < 50 && !whole, `${n} parts after an abort at the fifth, ${whole ? "to the end" : "not the end"}`);
    assert.equal((await client.chat(ask)).message.content, answer);
  },
  "error: unknown model": async () => {
    await assert.rejects(client.chat({ ...ask, model: "no-such-model" }), status(404));
    await assert.rejects(client.show({ model: "no-such-model" }), status(404));
    await assert.rejects(client.embed({ model: "no-such-model", input: "x" }), status(404));
  },
  "error: bad parameter": async () => {
    await assert.rejects(client.chat({ ...ask, options: { temperature: -1 } }), status(400));
    await assert.rejects(client.chat({ ...ask, format: "xml" }), status(400));
  },
  "error: wrong key": async () => {
    await assert.rejects(connect(base, wrongKey).chat(ask), status(401));
    await assert.rejects(connect(base, wrongKey).list(), status(401));
  },
});
