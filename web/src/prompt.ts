// A path of a conversation as the messages of a request.

import { type Attachment, type Message, type UserMessage, isRunning } from './conversation';

type Part = Record<string, unknown>;

/** Media first, in the order in which they were attached, then the text. Every medium must have been uploaded. */
export function messagesOf(path: Message[], system: string): Record<string, unknown>[] {
  const messages: Record<string, unknown>[] = system.trim() ? [{ role: 'system', content: system.trim() }] : [];
  for (const message of path) {
    if (message.role === 'user') messages.push({ role: 'user', content: contentOf(message) });
    else if (message.text && !isRunning(message)) messages.push({ role: 'assistant', content: message.text });
  }
  return messages;
}

export function contentOf({ text, attachments }: Pick<UserMessage, 'text' | 'attachments'>): string | Part[] {
  if (attachments.length === 0) return text;
  return [...attachments.map(partOf), ...(text ? [{ type: 'text', text }] : [])];
}

function partOf({ kind, fileId }: Attachment): Part {
  if (kind === 'document') return { type: 'file', file: { file_id: fileId } };
  return kind === 'video' ? { type: 'video_url', video_url: { url: fileId } } : { type: 'image_url', image_url: { url: fileId } };
}
