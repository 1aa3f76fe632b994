// An answer while it is written: server-sent events of `/v1/chat/completions` as pieces.

import { EventSourceParserStream } from 'eventsource-parser/stream';
import { ApiError, json, request, told, unreachable } from './api';
import type { Found, Usage } from './conversation';

export type Piece =
  | { kind: 'thinking' | 'text'; text: string }
  | { kind: 'end'; reason: string; found: Found | undefined }
  | { kind: 'usage'; usage: Usage };

interface Chunk {
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; reasoning?: string | null };
    finish_reason?: string | null;
    kimi_vl?: Partial<Found>;
  }[];
  usage?: Usage | null;
  error?: unknown;
}

/** The pieces of one answer. Raises: ApiError, also where the stream ends before the answer does; AbortError. */
export async function* streamChat(body: Record<string, unknown>, signal: AbortSignal): AsyncGenerator<Piece> {
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  const response = await request('v1/chat/completions', json(asked, signal));
  if (!response.body) throw unreachable();
  yield* pieces(response.body as ReadableStream<Uint8Array<ArrayBuffer>>);
}

export async function* pieces(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Piece> {
  const reader = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await read(reader);
      if (done) throw new ApiError(0, 'interrupted', 'The connection ended before the answer was complete.');
      if (value.data === '[DONE]') return;
      yield* piecesOf(value.data);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function read<T>(reader: ReadableStreamDefaultReader<T>): Promise<ReadableStreamReadResult<T>> {
  try {
    return await reader.read();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'interrupted', 'The connection ended before the answer was complete.');
  }
}

/** What one event says. Raises: ApiError for an event that is an error, or nothing that can be read. */
export function piecesOf(data: string): Piece[] {
  let chunk: Chunk;
  try {
    chunk = JSON.parse(data) as Chunk;
  } catch {
    throw new ApiError(0, 'interrupted', 'The server sent something that is no answer.');
  }
  if (chunk.error) throw told(500, data);
  const found: Piece[] = [];
  for (const choice of chunk.choices ?? []) {
    const thinking = choice.delta?.reasoning_content ?? choice.delta?.reasoning;
    if (thinking) found.push({ kind: 'thinking', text: thinking });
    if (choice.delta?.content) found.push({ kind: 'text', text: choice.delta.content });
    if (choice.finish_reason) found.push({ kind: 'end', reason: choice.finish_reason, found: foundOf(choice.kimi_vl) });
  }
  if (chunk.usage) found.push({ kind: 'usage', usage: chunk.usage });
  return found;
}

function foundOf(given: Partial<Found> | undefined): Found | undefined {
  if (!given) return undefined;
  const { boxes = [], points = [], citations = [], looked_at = [] } = given;
  return { boxes, points, citations, looked_at };
}
