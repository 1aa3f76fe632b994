// What the page does: questions are asked, answers written into conversations, conversations kept.

import { ApiError, type Model, deleteFile, models, tokenize } from './api';
import { Cell } from './cell';
import {
  type AnswerMessage,
  type Attachment,
  type Conversation,
  type Message,
  type Summary,
  type UserMessage,
  mediaOf,
  newConversation,
  newId,
  newestLeaf,
  pathTo,
  settled,
  withChange,
  withMessage,
} from './conversation';
import { Draft } from './draft';
import { messagesOf } from './prompt';
import { type Settings, loadSettings, requestOptions, saveSettings } from './settings';
import type { Store } from './store';
import { type Piece, streamChat } from './stream';
import { Uploads } from './uploads';

const FLUSH_MS = 40; // pieces come faster than anybody reads; the page is drawn so often
const SAVE_MS = 1000;

export class Chat {
  readonly models = new Cell<Model[]>([]);
  readonly settings = new Cell<Settings>(loadSettings());
  readonly history = new Cell<Summary[]>([]);
  readonly current = new Cell<Conversation>(newConversation());
  readonly running = new Cell<ReadonlyMap<string, AbortController>>(new Map()); // by conversation
  readonly notice = new Cell<string | null>(null);
  readonly announcement = new Cell(''); // for screen readers

  private readonly uploads: Uploads;
  private readonly open = new Map<string, Conversation>();
  private readonly drafts = new Map<string, Draft>();
  private readonly unsaved = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(readonly store: Store) {
    this.uploads = new Uploads(store);
    this.settings.watch(saveSettings);
  }

  /** The history, and the conversation that the address names. */
  async restore(): Promise<void> {
    addEventListener('hashchange', () => void this.show(location.hash.slice(1)));
    addEventListener('pagehide', () => [...this.unsaved.keys()].forEach((id) => void this.save(id)));
    this.models.watch(() => this.draft.countSoon());
    await this.list();
    await this.show(location.hash.slice(1));
    if (!this.store.isLasting) this.notice.value = 'This browser keeps no data for the page: the history is gone when it is closed.';
  }

  async findModels(): Promise<void> {
    try {
      this.models.value = await models();
    } catch (error) {
      this.notice.value = error instanceof ApiError ? error.message : 'The server does not answer.';
    }
  }

  get model(): Model | undefined {
    return this.models.value.find((one) => one.id === this.settings.value.model) ?? this.models.value[0];
  }

  get draft(): Draft {
    return this.draftOf(this.current.value.id);
  }

  // Conversations ----------------------------------------------------------------------------------------------------------

  /** The conversation of an id, or a new one where there is none. */
  async show(id: string): Promise<void> {
    if (id === this.current.value.id) return;
    const kept = this.open.get(id) ?? (id ? await this.store.conversation(id) : undefined);
    this.current.value = kept ? (this.running.value.has(id) ? kept : settled(kept)) : newConversation();
    this.open.set(this.current.value.id, this.current.value);
    if (!kept && location.hash) history.replaceState(null, '', location.pathname + location.search);
  }

  startNew(): void {
    if (location.hash) location.hash = '';
    else if (this.current.value.leaf !== null) void this.show('');
  }

  async rename(id: string, title: string): Promise<void> {
    const conversation = this.open.get(id) ?? (await this.store.conversation(id));
    if (!conversation || !title.trim()) return;
    this.put({ ...conversation, title: title.trim().slice(0, 200), named: true });
    await this.save(id);
  }

  /** With its media, here and at the server. */
  async remove(id: string): Promise<void> {
    this.running.value.get(id)?.abort();
    const conversation = this.open.get(id) ?? (await this.store.conversation(id));
    for (const node of Object.values(conversation?.nodes ?? {})) {
      const files = node.role === 'user' ? node.attachments.flatMap((one) => one.fileId ?? []) : [];
      for (const file of files) deleteFile(file).catch(() => undefined);
    }
    this.open.delete(id);
    clearTimeout(this.unsaved.get(id));
    this.unsaved.delete(id);
    await this.store.remove(id);
    await this.list();
    if (id === this.current.value.id) await this.show('');
  }

  /** One conversation, or all, as a JSON file; media by name only. */
  async exported(id: string | null): Promise<Blob> {
    const all = await this.store.all();
    const chosen = id === null ? all : all.filter((one) => one.id === id);
    return new Blob([JSON.stringify({ format: 'kimi-vl conversations', version: 1, conversations: chosen }, null, 2)], { type: 'application/json' });
  }

  // Questions and answers --------------------------------------------------------------------------------------------------

  send(): void {
    const { text, attachments } = this.draft.finish();
    if (text || attachments.length) this.ask(this.current.value.leaf, text, attachments);
  }

  /** A question in another wording, beside the old one. */
  resend(message: UserMessage, text: string, attachments: Attachment[]): void {
    this.ask(message.parent, text, attachments);
  }

  /** Another answer, beside the old one. */
  retry(answer: AnswerMessage): void {
    if (answer.parent) void this.answer(this.current.value.id, answer.parent);
  }

  stop(): void {
    this.running.value.get(this.current.value.id)?.abort();
  }

  /** Show an alternative of a message, and what was said behind it last. */
  choose(message: Message): void {
    const conversation = this.current.value;
    this.put({ ...conversation, leaf: newestLeaf(conversation, message.id) });
    this.saveSoon(conversation.id);
  }

  private ask(parent: string | null, text: string, attachments: Attachment[]): void {
    const question: UserMessage = { id: newId(), parent, created: Date.now(), role: 'user', text, attachments };
    const conversation = withMessage(this.current.value, question);
    this.put(conversation);
    if (location.hash.slice(1) !== conversation.id) history.pushState(null, '', `#${conversation.id}`);
    void this.answer(conversation.id, question.id);
  }

  private async answer(id: string, parent: string): Promise<void> {
    const conversation = this.open.get(id);
    if (!conversation || this.running.value.has(id)) return;
    const controller = new AbortController();
    const blank = { status: 'waiting', text: '', thinking: '', thinkingPieces: 0 } as const;
    const answer: AnswerMessage = { id: newId(), parent, created: Date.now(), role: 'assistant', model: this.model?.id ?? '', ...blank };
    this.put(withMessage(conversation, answer));
    this.running.value = new Map(this.running.value).set(id, controller);
    this.announcement.value = 'The question was sent.';
    try {
      await this.write(id, answer, controller.signal, true);
      void this.learnCosts(id, parent);
    } catch (error) {
      this.fail(id, answer.id, error);
    } finally {
      const running = new Map(this.running.value);
      running.delete(id);
      this.running.value = running;
      if (this.open.has(id)) await this.save(id);
    }
  }

  /** Media that the server has forgotten are uploaded again, once. Raises: ApiError; AbortError. */
  private async write(id: string, answer: AnswerMessage, signal: AbortSignal, again: boolean): Promise<void> {
    try {
      if (!this.model) await this.findModels();
      const { model, settings } = this;
      if (!model) throw new ApiError(0, 'unreachable', 'The server does not answer.');
      const path = await this.uploaded(id, answer.parent, signal);
      const messages = messagesOf(path, settings.value.system);
      const options = requestOptions(settings.value, model.thinking ?? true);
      this.change(id, answer.id, (message) => ({ ...message, model: model.id }));
      await this.read(id, answer.id, streamChat({ model: model.id, messages, ...options }, signal));
    } catch (error) {
      if (!again || !(error instanceof ApiError) || error.code !== 'file_not_found') throw error;
      this.forgetFiles(id, answer.parent);
      await this.write(id, answer, signal, false);
    }
  }

  private async uploaded(id: string, leaf: string | null, signal: AbortSignal): Promise<Message[]> {
    for (const medium of mediaOf(this.path(id, leaf))) {
      if (!medium.fileId) this.setFile(id, medium.id, await this.uploads.id(medium, signal));
    }
    return this.path(id, leaf);
  }

  /** What the media of a question cost and how they were seen, where it was sent before that was known. */
  private async learnCosts(id: string, leaf: string): Promise<void> {
    const path = this.path(id, leaf);
    const media = mediaOf(path);
    if (!this.model || media.every((one) => one.views)) return;
    const counted = await tokenize(this.model.id, messagesOf(path, this.settings.value.system)).catch(() => null);
    for (const [k, { id: medium }] of media.entries()) {
      const seen = counted?.media[k];
      if (seen) this.changeMedium(id, medium, (one) => ({ ...one, tokens: seen.tokens, views: seen.views, leftOut: seen.left_out }));
    }
    this.saveSoon(id);
  }

  private forgetFiles(id: string, leaf: string | null): void {
    for (const medium of mediaOf(this.path(id, leaf))) {
      this.uploads.forget(medium.id);
      this.setFile(id, medium.id, undefined);
    }
  }

  private setFile(id: string, medium: string, fileId: string | undefined): void {
    this.changeMedium(id, medium, ({ fileId: _, ...one }) => (fileId ? { ...one, fileId } : one));
  }

  /** Wherever a conversation has it: versions of a question share their media. */
  private changeMedium(id: string, medium: string, change: (one: Attachment) => Attachment): void {
    for (const node of Object.values(this.open.get(id)?.nodes ?? {})) {
      if (node.role !== 'user' || !node.attachments.some((one) => one.id === medium)) continue;
      this.change<UserMessage>(id, node.id, (user) => ({
        ...user,
        attachments: user.attachments.map((one) => (one.id === medium ? change(one) : one)),
      }));
    }
  }

  private async read(id: string, answer: string, pieces: AsyncIterable<Piece>): Promise<void> {
    let waiting: Piece[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      clearTimeout(timer);
      timer = undefined;
      const taken = waiting;
      waiting = [];
      if (taken.length) this.change<AnswerMessage>(id, answer, (message) => taken.reduce(withPiece, message));
      this.saveSoon(id);
    };
    try {
      for await (const piece of pieces) {
        waiting.push(piece);
        if (piece.kind === 'end') this.announceEnd(piece.reason);
        timer ??= setTimeout(flush, FLUSH_MS);
      }
    } finally {
      flush();
    }
  }

  private announceEnd(reason: string): void {
    this.announcement.value = reason === 'length' ? 'The answer was cut off at its limit.' : 'The answer is complete.';
  }

  private fail(id: string, answer: string, error: unknown): void {
    const stopped = error instanceof DOMException && error.name === 'AbortError';
    const trouble = error instanceof ApiError ? { message: error.message, code: error.code } : { message: 'The page could not read the answer.', code: 'page' };
    this.change<AnswerMessage>(id, answer, (message) =>
      stopped ? thought({ ...message, status: 'stopped' }) : thought({ ...message, status: 'failed', trouble }),
    );
    this.announcement.value = stopped ? 'Stopped.' : trouble.message;
    if (!stopped && !(error instanceof ApiError)) console.error(error);
  }

  // Keeping ----------------------------------------------------------------------------------------------------------------

  private draftOf(id: string): Draft {
    const around = () => ({ model: this.model, path: this.path(id, this.open.get(id)?.leaf ?? null), system: this.settings.value.system });
    const draft = this.drafts.get(id) ?? new Draft(id, this.store, this.uploads, around);
    this.drafts.set(id, draft);
    return draft;
  }

  private path(id: string, leaf: string | null): Message[] {
    const conversation = this.open.get(id);
    return conversation ? pathTo(conversation, leaf) : [];
  }

  private change<M extends Message>(id: string, message: string, change: (message: M) => M): void {
    const conversation = this.open.get(id);
    if (conversation) this.put(withChange<M>(conversation, message, change));
  }

  private put(conversation: Conversation): void {
    this.open.set(conversation.id, conversation);
    if (conversation.id === this.current.value.id) this.current.value = conversation;
  }

  private saveSoon(id: string): void {
    if (!this.unsaved.has(id)) this.unsaved.set(id, setTimeout(() => void this.save(id), SAVE_MS));
  }

  private async save(id: string): Promise<void> {
    clearTimeout(this.unsaved.get(id));
    this.unsaved.delete(id);
    const conversation = this.open.get(id);
    if (!conversation || conversation.leaf === null) return;
    await this.store.save(conversation);
    await this.list();
  }

  private async list(): Promise<void> {
    this.history.value = await this.store.summaries();
  }
}

/** An answer and what came next of it. */
export function withPiece(answer: AnswerMessage, piece: Piece): AnswerMessage {
  const now = Date.now();
  if (piece.kind === 'usage') return { ...answer, usage: piece.usage };
  if (piece.kind === 'end') {
    const ended = thought({ ...answer, status: piece.reason === 'length' ? 'length' : 'done' });
    return piece.found ? { ...ended, found: piece.found } : ended;
  }
  const timed = { ...answer, firstPiece: answer.firstPiece ?? now, lastPiece: now };
  if (piece.kind === 'text') return thought({ ...timed, status: 'writing', text: answer.text + piece.text });
  const thinking = answer.thinking + piece.text;
  return { ...timed, status: 'thinking', thinking, thinkingPieces: answer.thinkingPieces + 1, thinkingStarted: answer.thinkingStarted ?? now };
}

/** The time of thinking is over when anything else begins. */
function thought(answer: AnswerMessage): AnswerMessage {
  if (answer.thinkingStarted === undefined || answer.thinkingMs !== undefined) return answer;
  return { ...answer, thinkingMs: Date.now() - answer.thinkingStarted };
}

