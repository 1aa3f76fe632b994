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

said.refused = await client.chat.completions.create({ model, messages, temperature: 3 }).catch((error) => [error.status, error.code, error.param]);
console.log(JSON.stringify(said));
