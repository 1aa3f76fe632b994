// The server's routes. Addresses are relative, so that the page also works below a path of a proxy.

import { Cell } from './cell';
import type { SeenView } from './conversation';

export interface Model {
  id: string;
  context_length?: number;
  thinking?: boolean;
  modalities?: string[];
  defaults?: { temperature?: number; top_p?: number; max_tokens?: number | null };
}

export interface CountedMedium {
  index: number;
  kind: string;
  name: string;
  tokens: number;
  views: SeenView[];
  left_out: string | null;
}

export interface Counted {
  count: number;
  context_length: number;
  media: CountedMedium[];
}

/** What the server said of a request, or that it said nothing (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly param: string | null = null,
  ) {
    super(message);
  }
}

/** Asked of the user: `again` after a key that was refused. */
export interface KeyQuestion {
  again: boolean;
  answer: (key: string | null) => void;
}

export const keyQuestion = new Cell<KeyQuestion | null>(null);

let key: string | null = null; // in memory only: gone with the page
let asking: Promise<string | null> | null = null;

function askForKey(): Promise<string | null> {
  asking ??= new Promise<string | null>((resolve) => {
    keyQuestion.value = { again: key !== null, answer: resolve };
  }).finally(() => {
    asking = null;
    keyQuestion.value = null;
  });
  return asking;
}

function authorisation(): Record<string, string> {
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

/** Send with the key; where it is wanted or wrong, ask for one and send again. Raises: ApiError. */
async function authorised<T extends { status: number }>(send: (headers: Record<string, string>) => Promise<T>): Promise<T> {
  for (;;) {
    const used = key;
    const answer = await send(authorisation());
    if (answer.status !== 401) return answer;
    if (used !== key) continue; // meanwhile another request got one
    const given = await askForKey();
    if (given === null) throw new ApiError(401, 'invalid_api_key', 'This server wants an API key.');
    key = given;
  }
}

/** An answer with a status below 400. Raises: ApiError; AbortError. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await authorised((headers) => fetched(path, { ...init, headers: { ...init.headers, ...headers } }));
  if (response.ok) return response;
  throw told(response.status, await response.text().catch(() => ''));
}

async function fetched(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'same-origin', cache: 'no-store', redirect: 'error', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw unreachable();
  }
}

export const unreachable = (): ApiError =>
  new ApiError(0, 'unreachable', navigator.onLine === false ? 'You are offline.' : 'The server does not answer.');

/** An error out of whatever a server, or a proxy before it, wrote. */
export function told(status: number, body: string): ApiError {
  let error: { message?: unknown; code?: unknown; param?: unknown } = {};
  try {
    error = (JSON.parse(body) as { error?: typeof error }).error ?? {};
  } catch {
    // not ours: the status has to do
  }
  const message = typeof error.message === 'string' ? sentence(error.message) : `The server answered with status ${status}.`;
  const code = typeof error.code === 'string' ? error.code : `status_${status}`;
  return new ApiError(status, code, message, typeof error.param === 'string' ? error.param : null);
}

/** The server's words as a sentence: a capital letter and a full stop. */
export function sentence(text: string): string {
  const line = text.trim().slice(0, 600);
  return line.charAt(0).toUpperCase() + line.slice(1) + (/[.!?…]$/.test(line) ? '' : '.');
}

export function json(body: unknown, signal?: AbortSignal): RequestInit {
  const init: RequestInit = { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
  return signal ? { ...init, signal } : init;
}

export async function models(): Promise<Model[]> {
  const list = (await (await request('v1/models')).json()) as { data: Model[] };
  return list.data;
}

export async function tokenize(model: string, messages: unknown[], signal?: AbortSignal): Promise<Counted> {
  return (await (await request('v1/tokenize', json({ model, messages }, signal))).json()) as Counted;
}

export async function deleteFile(id: string): Promise<void> {
  await request(`v1/files/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** The id of an uploaded file. `progress` is told shares of 1; fetch knows none of an upload, hence XMLHttpRequest. Raises: as `request`. */
export async function upload(file: Blob, name: string, progress: (share: number) => void, signal: AbortSignal): Promise<string> {
  const answer = await authorised((headers) => sent(file, name, headers, progress, signal));
  if (answer.status >= 400) throw told(answer.status, answer.responseText);
  const { id } = JSON.parse(answer.responseText) as { id: string };
  return id;
}

function sent(file: Blob, name: string, headers: Record<string, string>, progress: (share: number) => void, signal: AbortSignal): Promise<XMLHttpRequest> {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append('purpose', 'user_data');
    form.append('file', file, name);
    const call = new XMLHttpRequest();
    const abort = () => call.abort();
    call.open('POST', 'v1/files');
    for (const [header, value] of Object.entries(headers)) call.setRequestHeader(header, value);
    call.upload.addEventListener('progress', (event) => event.lengthComputable && progress(event.loaded / event.total));
    call.addEventListener('load', () => resolve(call));
    call.addEventListener('error', () => reject(unreachable()));
    call.addEventListener('abort', () => reject(new DOMException('The upload was stopped.', 'AbortError')));
    call.addEventListener('loadend', () => signal.removeEventListener('abort', abort));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    else call.send(form);
  });
}
