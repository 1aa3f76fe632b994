// A conversation is a tree: a message that is edited, or an answer that is asked for again, gets a sibling. What is shown is one path of it.

import type { MediaKind } from './media';

export interface SeenView {
  width: number;
  height: number;
  seen_width: number;
  seen_height: number;
  tokens: number;
  page: number | null;
  time_s: number | null;
  note: string | null;
}

export interface Attachment {
  id: string;
  name: string;
  type: string;
  kind: MediaKind;
  size: number;
  fileId?: string; // of the server; it may have forgotten it
  tokens?: number;
  views?: SeenView[];
  leftOut?: string | null;
}

export interface Place {
  label: string;
  medium: number; // counted over all media of the conversation, from 0
  view: number;
  page: number | null;
  box?: number[]; // left, top, right, bottom: pixels of the file's picture, points of a PDF's page
  point?: number[];
}

export interface Citation {
  page: number | null;
  quote: string;
  box: number[] | null;
  verified: boolean;
  medium: number;
}

export interface Found {
  boxes: Place[];
  points: Place[];
  citations: Citation[];
  looked_at: string[];
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; image_tokens?: number } | null;
  completion_tokens_details?: { reasoning_tokens?: number } | null;
}

export interface Trouble {
  message: string;
  code: string;
}

interface Node {
  id: string;
  parent: string | null;
  created: number; // milliseconds since 1970
}

export interface UserMessage extends Node {
  role: 'user';
  text: string;
  attachments: Attachment[];
}

export type AnswerStatus = 'waiting' | 'thinking' | 'writing' | 'done' | 'length' | 'stopped' | 'failed';

export interface AnswerMessage extends Node {
  role: 'assistant';
  model: string;
  status: AnswerStatus;
  text: string;
  thinking: string;
  thinkingPieces: number; // about one token each; the exact number comes with the usage
  thinkingStarted?: number;
  thinkingMs?: number;
  firstPiece?: number;
  lastPiece?: number;
  usage?: Usage;
  found?: Found;
  trouble?: Trouble;
}

export type Message = UserMessage | AnswerMessage;

export interface Conversation {
  id: string;
  title: string;
  named: boolean; // by the user; otherwise the title is the first question
  created: number;
  updated: number;
  nodes: Record<string, Message>;
  leaf: string | null;
}

export type Summary = Pick<Conversation, 'id' | 'title' | 'updated'>;

const TITLE_LENGTH = 60;

export const newId = (): string => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');

export function newConversation(): Conversation {
  const now = Date.now();
  return { id: newId(), title: 'New chat', named: false, created: now, updated: now, nodes: {}, leaf: null };
}

export const isRunning = (message: Message): boolean =>
  message.role === 'assistant' && (message.status === 'waiting' || message.status === 'thinking' || message.status === 'writing');

/** The messages from the first to `leaf`. */
export function pathTo(conversation: Conversation, leaf: string | null = conversation.leaf): Message[] {
  const path: Message[] = [];
  for (let id = leaf; id !== null; ) {
    const node: Message | undefined = conversation.nodes[id];
    if (!node || path.includes(node)) break;
    path.unshift(node);
    id = node.parent;
  }
  return path;
}

/** A message and its alternatives, the oldest first. */
export function siblings(conversation: Conversation, message: Message): Message[] {
  return Object.values(conversation.nodes)
    .filter((other) => other.parent === message.parent && other.role === message.role)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/** The end of the newest path through a message. */
export function newestLeaf(conversation: Conversation, id: string): string {
  const children = Object.values(conversation.nodes).filter((node) => node.parent === id);
  const newest = children.sort((a, b) => b.created - a.created)[0];
  return newest ? newestLeaf(conversation, newest.id) : id;
}

export function withMessage(conversation: Conversation, message: Message): Conversation {
  const first = message.role === 'user' && message.parent === null;
  const title = first && !conversation.named ? titleOf(message) : conversation.title;
  return { ...conversation, title, updated: Date.now(), leaf: message.id, nodes: { ...conversation.nodes, [message.id]: message } };
}

export function withChange<M extends Message>(conversation: Conversation, id: string, change: (message: M) => M): Conversation {
  const message = conversation.nodes[id] as M | undefined;
  return message ? { ...conversation, nodes: { ...conversation.nodes, [id]: change(message) } } : conversation;
}

function titleOf(message: UserMessage): string {
  const words = message.text.trim().split(/\s+/).join(' ') || message.attachments[0]?.name || 'New chat';
  return words.length > TITLE_LENGTH ? `${words.slice(0, TITLE_LENGTH - 1)}…` : words;
}

/** All media of a path, in the order in which the server counts them. */
export function mediaOf(path: Message[]): Attachment[] {
  return path.flatMap((message) => (message.role === 'user' ? message.attachments : []));
}

/** An answer that nobody writes any more, after a reload, is shown as what it is. */
export function settled(conversation: Conversation): Conversation {
  const trouble = { message: 'The page was closed before the answer was complete.', code: 'interrupted' };
  const nodes = Object.entries(conversation.nodes).map(([id, node]) => [id, isRunning(node) ? { ...node, status: 'failed', trouble } : node]);
  return { ...conversation, nodes: Object.fromEntries(nodes) };
}
