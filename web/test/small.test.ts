import { describe, expect, it } from 'vitest';
import { sentence, told } from '../src/api';
import { withPiece } from '../src/chat';
import type { AnswerMessage } from '../src/conversation';
import { usageParts } from '../src/components/UsageLine';
import { duration } from '../src/components/Thinking';
import { bytes, kindOf, refusal, shownName } from '../src/media';
import { DEFAULTS, checked, checkedNumber, requestOptions } from '../src/settings';
import { oldestBeyond } from '../src/store';
import { pieces, piecesOf } from '../src/stream';

const blank: AnswerMessage = { id: 'a', parent: 'q', created: 0, role: 'assistant', model: 'm', status: 'waiting', text: '', thinking: '', thinkingPieces: 0 };

describe('a stream', () => {
  const stream = (...parts: string[]) => pieces(new Blob(parts).stream() as ReadableStream<Uint8Array<ArrayBuffer>>);

  const all = async (...parts: string[]) => {
    const found = [];
    for await (const piece of stream(...parts)) found.push(piece);
    return found;
  };

  it('gives pieces until it is done', async () => {
    const event = (delta: object) => `data: ${JSON.stringify({ choices: [{ delta }] })}\n\n`;
    const found = await all(': quiet\n\n', event({ reasoning_content: 'h', reasoning: 'h' }), event({ content: 'ü' }), 'data: [DONE]\n\n');
    expect(found).toEqual([{ kind: 'thinking', text: 'h' }, { kind: 'text', text: 'ü' }]);
  });

  it.each([['data: {"choices":[]}\n\n'], ['data: {"err'], ['data: <html>\n\n']])('that ends before it is done is an error: %j', async (text) => {
    await expect(all(text)).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('may hold an error', () => {
    expect(() => piecesOf('{"error":{"message":"no memory","code":"server_is_overloaded","param":null}}')).toThrow('No memory.');
  });
});

it('an answer ends its thinking with its first word', () => {
  const thinking = withPiece(blank, { kind: 'thinking', text: 'hm' });
  expect(thinking).toMatchObject({ status: 'thinking', thinkingPieces: 1 });
  expect(withPiece(thinking, { kind: 'text', text: 'yes' })).toMatchObject({ status: 'writing', thinking: 'hm', text: 'yes', thinkingMs: expect.any(Number) });
});

it('errors are sentences, whoever wrote them', () => {
  expect(sentence('seed must be positive')).toBe('Seed must be positive.');
  expect(told(502, '<html>')).toMatchObject({ code: 'status_502', message: 'The server answered with status 502.' });
  expect(told(400, '{"error":{"message":5,"code":{}}}')).toMatchObject({ code: 'status_400', param: null });
});

it('settings out of anything are settings', () => {
  expect(checked(null)).toEqual(DEFAULTS);
  expect(checked({ thinking: 'loud', temperature: '1.5', seed: -1, theme: 'dark', extra: 1 })).toEqual({ ...DEFAULTS, temperature: 1.5, seed: 0, theme: 'dark' });
  expect(checkedNumber('maxTokens', '12.6')).toBe(13);
  expect(checkedNumber('seed', '')).toBeNull();
});

it('a request says only what was chosen', () => {
  expect(requestOptions(DEFAULTS, true)).toEqual({});
  expect(requestOptions({ ...DEFAULTS, thinking: 'off', thinkingBudget: 5 }, true)).toEqual({ thinking: 'off' });
  expect(requestOptions({ ...DEFAULTS, thinking: 'on', thinkingBudget: 5, seed: 0 }, false)).toEqual({ seed: 0 });
});

it('files are known by type, then by name; drawings that are programs are refused', () => {
  const kinds = [['a.HEIC', ''], ['a', 'application/pdf'], ['a.mkv', ''], ['a.svg', 'image/svg+xml'], ['a.txt', 'text/plain']] as const;
  expect(kinds.map(([name, type]) => kindOf({ name, type }))).toEqual(['image', 'document', 'video', null, null]);
  expect(refusal({ name: 'a.png', type: 'image/png', size: 3 * 1024 ** 3 })).toBe('a.png has 3.2 GB; a file may have 2.1 GB.');
});

it('names cannot turn the text around', () => {
  expect(shownName('\u202egnp.exe\u0000\u2069')).toBe('gnp.exe');
  expect(shownName('\u200b')).toBe('file');
  expect(shownName('x'.repeat(300)).length).toBeLessThan(80);
});

it('sizes, times and speeds are for people', () => {
  expect([0, 999, 1000, 12_345_678, 2e9].map(bytes)).toEqual(['0 bytes', '999 bytes', '1.0 kB', '12.3 MB', '2.0 GB']);
  expect([400, 12_300, 61_000].map(duration)).toEqual(['0.4 s', '12 s', '1 min 1 s']);
  const usage = { prompt_tokens: 5, completion_tokens: 101, completion_tokens_details: { reasoning_tokens: 1 } };
  expect(usageParts({ ...blank, usage, firstPiece: 1000, lastPiece: 3000 })).toEqual(['5 tokens in', '1 thinking', '100 out', '50 tok/s']);
});

it('the oldest media go first', () => {
  const media = [{ added: 1, size: 5 }, { added: 3, size: 6 }, { added: 2, size: 0 }, { added: 4, size: 3 }];
  expect(oldestBeyond(media, 9)).toEqual([{ added: 1, size: 5 }]);
  expect(oldestBeyond(media, 100)).toEqual([]);
});
