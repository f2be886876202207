// LangChain over each of the three clients.
import assert from "node:assert/strict";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { tool } from "@langchain/core/tools";
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOllama, OllamaEmbeddings } from "@langchain/ollama";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { answer, asked, base, cosine, isWeather, key, model, run, stop, stopped, wrongKey } from "./check.mjs";

const schema = z.object({ city: z.enum(["Oslo", "Lima"]), warm: z.boolean(), days: z.number().int().min(1).max(9) });
const weather = tool(async () => "sunny", { name: "weather", description: "Tells the weather.", schema });
// ChatAnthropic sends enums and limits as descriptions, which lead no small model.
const warm = z.object({ warm: z.boolean() });
const isWarm = (v) => assert.equal(typeof v.warm, "boolean");
const question = asked[0].content;

// checks are those of every chat model; kinds are what differs.
function checks({ chat, embeddings, methods, bad, limited, forces }) {
  const it = chat({});
  const status = (code) => (e) => (e.status ?? e.status_code ?? e.error?.status) === code;
  const all = {
    "chat": async () => {
      const m = await it.invoke(question);
      assert.equal(m.text, answer);
      const chain = ChatPromptTemplate.fromMessages([["human", "{question}"]]).pipe(it).pipe(new StringOutputParser());
      assert.equal(await chain.invoke({ question }), answer);
    },
    "chat, streamed": async () => {
      let text = "", n = 0;
      for await (const chunk of await it.stream(question)) {
        text += chunk.text;
        n++;
      }
      assert.equal(text, answer);
      assert.ok(n > 5, `${n} chunks`);
    },
    "chat: system turn": async () => assert.ok((await it.invoke([["system", "Be kind."], ["human", question]])).text.length > 0),
    "usage": async () => {
      const { usage_metadata: u } = await it.invoke(question);
      assert.ok(u.input_tokens > 0 && u.output_tokens > 0);
      assert.equal(u.total_tokens, u.input_tokens + u.output_tokens);
    },
    "usage, streamed": async () => {
      let whole;
      for await (const chunk of await it.stream(question)) whole = whole ? whole.concat(chunk) : chunk;
      assert.equal(whole.usage_metadata.output_tokens, (await it.invoke(question)).usage_metadata.output_tokens);
    },
    "stop text": async () => assert.equal((await it.invoke(question, { stop: [stop] })).text, stopped),
    "token limit": async () => assert.equal((await limited(3).invoke(question)).usage_metadata.output_tokens, 3),
    "JSON schema": async () => {
      for (const [method, form, check] of methods) check(await it.withStructuredOutput(form, { name: "weather", method }).invoke(question));
      return methods.map(([method]) => method).join(", ");
    },
    "tool offered, not called": async () => assert.equal((await it.bindTools([weather]).invoke(question)).tool_calls.length, 0),
    "tool result": async () => {
      const call = { id: "call_1", name: "weather", args: { city: "Oslo", warm: true, days: 1 }, type: "tool_call" };
      const turns = [new HumanMessage(question), new AIMessage({ content: "", tool_calls: [call] }), new ToolMessage({ content: "sunny", tool_call_id: call.id, name: "weather" })];
      assert.ok((await it.bindTools([weather]).invoke(turns)).text.length > 0);
    },
    "abort of a stream": async () => {
      const control = new AbortController();
      await assert.rejects(async () => {
        for await (const _ of await it.stream(question, { signal: control.signal })) control.abort();
      });
      assert.equal((await it.invoke(question)).text, answer);
    },
    "error: unknown model": async () => assert.rejects(chat({ model: "no-such-model" }).invoke(question), status(404)),
    "error: bad parameter": async () => assert.rejects(bad().invoke(question), status(400)),
    "error: wrong key": async () => assert.rejects(chat({ secret: wrongKey }).invoke(question), status(401)),
  };
  if (forces) {
    all["tool call"] = async () => {
      const m = await it.bindTools([weather], { tool_choice: "weather" }).invoke(question);
      assert.equal(m.tool_calls[0].name, "weather");
      isWeather(m.tool_calls[0].args);
      assert.equal((await weather.invoke(m.tool_calls[0])).content, "sunny");
    };
    all["tool call, streamed"] = async () => {
      let whole;
      for await (const chunk of await it.bindTools([weather], { tool_choice: "any" }).stream(question)) whole = whole ? whole.concat(chunk) : chunk;
      isWeather(whole.tool_calls[0].args);
    };
  }
  if (embeddings) {
    all["embeddings"] = async () => {
      const [a, b] = await embeddings.embedDocuments(["a river", "a horse"]);
      assert.ok(cosine(a, b) < 0.9999);
      assert.ok(Math.abs(cosine(a, await embeddings.embedQuery("a river")) - 1) < 1e-5);
      return `${a.length} dimensions`;
    };
  }
  return all;
}

const openai = ({ secret = key, ...more }) => new ChatOpenAI({ model, temperature: 0, apiKey: secret, maxRetries: 0, configuration: { baseURL: `${base}/v1` }, ...more });
await run("@langchain/openai", {
  ...checks({
    chat: openai,
    embeddings: new OpenAIEmbeddings({ model, apiKey: key, maxRetries: 0, configuration: { baseURL: `${base}/v1` } }),
    methods: [["jsonSchema", schema, isWeather], ["functionCalling", schema, isWeather]],
    bad: () => openai({ temperature: -1 }),
    limited: (maxTokens) => openai({ maxTokens }),
    forces: true,
  }),
  "responses": async () => assert.equal((await openai({ useResponsesApi: true }).invoke(question)).text, answer),
  "logprobs": async () => {
    const m = await openai({ logprobs: true, topLogprobs: 2 }).invoke(question);
    assert.equal(m.response_metadata.logprobs.content.map((l) => l.token).join(""), answer);
  },
});

const anthropic = ({ secret = key, ...more }) => new ChatAnthropic({ model, temperature: 0, maxTokens: 400, apiKey: secret, maxRetries: 0, anthropicApiUrl: base, ...more });
await run("@langchain/anthropic", checks({
  chat: anthropic,
  methods: [["jsonSchema", warm, isWarm], ["functionCalling", schema, isWeather]],
  bad: () => anthropic({ temperature: -1 }),
  limited: (maxTokens) => anthropic({ maxTokens }),
  forces: true,
}));

const headers = (secret) => ({ Authorization: `Bearer ${secret}` });
const ollama = ({ secret = key, ...more }) => new ChatOllama({ model, temperature: 0, baseUrl: base, headers: headers(secret), maxRetries: 0, ...more });
await run("@langchain/ollama", checks({
  chat: ollama,
  embeddings: new OllamaEmbeddings({ model, baseUrl: base, headers: headers(key), maxRetries: 0 }),
  methods: [["jsonSchema", schema, isWeather]],
  bad: () => ollama({ temperature: -1 }),
  limited: (numPredict) => ollama({ numPredict }),
  forces: false,
}));
