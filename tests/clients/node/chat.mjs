// Drives a server by the official package, and prints what it said as one JSON document. Arguments: base URL, model, a picture.
import fs from "node:fs";
import OpenAI, { NotFoundError, toFile } from "openai";

const [baseURL, model, picture] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const url = `data:image/png;base64,${fs.readFileSync(picture).toString("base64")}`;
const about = (text, ...parts) => [{ role: "user", content: [...parts, { type: "text", text }] }];
const messages = about("What is the invoice number?", { type: "image_url", image_url: { url } });
const said = {};

said.models = [];
for await (const one of client.models.list()) said.models.push(one.id);

const whole = await client.chat.completions.create({ model, messages });
said.whole = whole.choices[0].message.content;
said.tokens = whole.usage.prompt_tokens_details.image_tokens;

const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
said.pieces = 0;
stream.on("content", () => said.pieces++);
said.streamed = (await stream.finalChatCompletion()).choices[0].message.content;

const file = await client.files.create({ file: await toFile(fs.createReadStream(picture), "invoice.png"), purpose: "user_data" });
said.file = file.filename;
const named = about("What is the invoice number?", { type: "file", file: { file_id: file.id } });
said.uploaded = (await client.chat.completions.create({ model, messages: named })).choices[0].message.content;
said.deleted = (await client.files.delete(file.id)).deleted;
said.missing = await client.files.retrieve(file.id).catch((error) => error instanceof NotFoundError && error.code);

const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: { at: { enum: ["sky"] } }, required: ["at"] } } }];
const question = [{ role: "user", content: "Look at the sky." }];
const first = await client.chat.completions.create({ model, messages: question, tools, tool_choice: "required", parallel_tool_calls: false });
const { message, finish_reason } = first.choices[0];
const [call] = message.tool_calls;
said.call = [finish_reason, call.function.name, JSON.parse(call.function.arguments)];
const result = { role: "tool", tool_call_id: call.id, content: "blue" };
const last = await client.chat.completions.create({ model, messages: [...question, message, result], max_tokens: 20 });
said.round = last.choices[0].finish_reason;

const words = { model, messages: question, n: 2, seed: 7, temperature: 1.5, stop: ["zzz"], presence_penalty: 0.5, frequency_penalty: 0.5 };
const asked = { ...words, logit_bias: { 300: -100 }, logprobs: true, top_logprobs: 2, max_completion_tokens: 4, reasoning_effort: "none" };
const two = await client.chat.completions.create(asked);
said.words = [two.choices.length, two.choices[0].logprobs.content.length, two.usage.completion_tokens];
const form = { type: "json_schema", json_schema: { name: "sky", strict: true, schema: { enum: ["red", "blue"] } } };
const [formed] = (await client.chat.completions.create({ model, messages: question, response_format: form })).choices;
said.formed = ["red", "blue"].includes(JSON.parse(formed.message.content));

const input = [{ role: "user", content: [{ type: "input_image", image_url: url, detail: "auto" }, { type: "input_text", text: "What is the invoice number?" }] }];
const response = await client.responses.create({ model, input });
said.response = [response.output_text, (await client.responses.retrieve(response.id)).status];
const events = client.responses.stream({ model, input });
said.events = (await events.finalResponse()).output_text;
said.items = (await client.responses.inputItems.list(response.id)).data.length;
await client.responses.delete(response.id);
said.forgotten = await client.responses.retrieve(response.id).catch((error) => error.status);
const long = await client.responses.create({ model, input: "Read on.", background: true, max_output_tokens: 5000, temperature: 2 });
for await (const event of await client.responses.retrieve(long.id, { stream: true })) if (event.type === "response.output_text.delta") break;
const ended = await client.responses.cancel(long.id).catch((error) => error.status); // 400 where nano was quicker
said.cancelled = ended === 400 || ended.status === "cancelled";
said.attached = 0;
for await (const event of await client.responses.retrieve(long.id, { stream: true, starting_after: 2 })) said.attached += event.sequence_number > 2;
said.attached = said.attached > 0;

const text = await client.completions.create({ model, prompt: "The total is", max_tokens: 3, temperature: 0 });
const pieces = await client.completions.create({ model, prompt: "The total is", max_tokens: 3, temperature: 0, stream: true });
let written = "";
for await (const piece of pieces) written += piece.choices[0].text;
said.completion = written === text.choices[0].text && written.length > 0;

const line = { custom_id: "one", method: "POST", url: "/v1/chat/completions", body: { model, messages } };
const batchFile = await client.files.create({ file: await toFile(Buffer.from(JSON.stringify(line)), "lines.jsonl"), purpose: "batch" });
let batch = await client.batches.create({ input_file_id: batchFile.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
while (!["completed", "failed"].includes(batch.status)) batch = await client.batches.retrieve(batch.id);
const output = JSON.parse(await (await client.files.content(batch.output_file_id)).text());
said.batch = [output.custom_id, output.response.body.choices[0].message.content];

said.refused = await client.chat.completions.create({ model, messages, temperature: 3 }).catch((error) => [error.status, error.code, error.param]);
console.log(JSON.stringify(said));
