// What is being written: the text, and media that are uploaded and counted while the question is still being asked.

import { ApiError, type Model, deleteFile, tokenize } from './api';
import { Cell } from './cell';
import { type Attachment, type Message, mediaOf, newId } from './conversation';
import { kindOf, refusal, thumbnail } from './media';
import { messagesOf } from './prompt';
import type { Store } from './store';
import type { Uploads } from './uploads';

export interface Attached {
  attachment: Attachment;
  progress: number; // of the upload, 1 when it is there
  counted: boolean;
  trouble: string | null;
}

export interface Count {
  tokens: number;
  context: number;
}

const WAIT_MS = 250; // several files come together; they are counted once

export class Draft {
  readonly text: Cell<string>;
  readonly attached = new Cell<Attached[]>([]);
  readonly count = new Cell<Count | null>(null);
  private readonly uploading = new Map<string, AbortController>();
  private counting: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly conversation: string,
    private readonly store: Store,
    private readonly uploads: Uploads,
    private readonly around: () => { model: Model | undefined; path: Message[]; system: string },
  ) {
    this.text = new Cell(sessionStorage.getItem(this.key) ?? '');
    this.text.watch((text) => (text ? sessionStorage.setItem(this.key, text) : sessionStorage.removeItem(this.key)));
  }

  /** What was refused, in words. */
  add(files: Iterable<File>): string[] {
    const refused: string[] = [];
    for (const file of files) {
      const why = refusal(file);
      if (why) refused.push(why);
      else void this.take(file);
    }
    return refused;
  }

  remove(id: string): void {
    this.uploading.get(id)?.abort();
    this.uploads.forget(id);
    const gone = this.attached.value.find((one) => one.attachment.id === id);
    if (gone?.attachment.fileId) deleteFile(gone.attachment.fileId).catch(() => undefined);
    this.attached.value = this.attached.value.filter((one) => one.attachment.id !== id);
    this.countSoon();
  }

  /** Upload again what did not get through. */
  retry(id: string): void {
    const one = this.attached.value.find((other) => other.attachment.id === id);
    if (one) void this.send(one.attachment);
  }

  /** Ask the server what the media cost, once what is still coming is there. */
  countSoon(): void {
    this.counting?.abort();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.countNow(), WAIT_MS);
  }

  /** Hand over what has been written. */
  finish(): { text: string; attachments: Attachment[] } {
    const taken = { text: this.text.value.trim(), attachments: this.attached.value.map((one) => one.attachment) };
    this.counting?.abort();
    clearTimeout(this.timer);
    this.text.value = '';
    this.attached.value = [];
    this.count.value = null;
    return taken;
  }

  private get key(): string {
    return `kimi-vl.draft.${this.conversation}`;
  }

  private async take(file: File): Promise<void> {
    const kind = kindOf(file) ?? 'image';
    const attachment: Attachment = { id: newId(), name: file.name || `pasted ${kind}`, type: file.type, kind, size: file.size };
    this.attached.value = [...this.attached.value, { attachment, progress: 0, counted: false, trouble: null }];
    await this.store.keep(attachment.id, this.conversation, file, null); // at once: the question may be sent before there is a thumbnail
    await Promise.all([this.send(attachment), this.preview(attachment, file)]);
  }

  private async preview(attachment: Attachment, file: File): Promise<void> {
    const small = await thumbnail(file, attachment.kind);
    if (small) await this.store.keep(attachment.id, this.conversation, file, small);
  }

  private async send(attachment: Attachment): Promise<void> {
    const { id } = attachment;
    const controller = new AbortController();
    this.uploading.set(id, controller);
    this.change(id, (one) => ({ ...one, progress: 0, trouble: null }));
    try {
      const fileId = await this.uploads.id(attachment, controller.signal, (progress) => this.change(id, (one) => ({ ...one, progress: progress * 0.99 })));
      this.change(id, (one) => ({ ...one, progress: 1, attachment: { ...one.attachment, fileId } }));
      this.countSoon();
    } catch (error) {
      if (error instanceof ApiError) this.change(id, (one) => ({ ...one, trouble: error.message }));
    } finally {
      this.uploading.delete(id);
    }
  }

  private change(id: string, change: (one: Attached) => Attached): void {
    this.attached.value = this.attached.value.map((one) => (one.attachment.id === id ? change(one) : one));
  }

  private async countNow(): Promise<void> {
    const { model, path, system } = this.around();
    const attached = this.attached.value;
    if (!model || attached.some((one) => !one.attachment.fileId)) return;
    if (attached.length === 0) {
      this.count.value = null;
      return;
    }
    const controller = (this.counting = new AbortController());
    const attachments = attached.map((one) => one.attachment);
    const question: Message = { id: '', parent: null, created: 0, role: 'user', text: this.text.value, attachments };
    const messages = messagesOf([...path, question], system);
    try {
      const counted = await tokenize(model.id, messages, controller.signal);
      const before = mediaOf(path).length;
      this.count.value = { tokens: counted.count, context: counted.context_length };
      attachments.forEach(({ id }, k) => {
        const medium = counted.media[before + k];
        if (!medium) return;
        const { tokens, views, left_out: leftOut } = medium;
        this.change(id, (one) => ({ ...one, counted: true, trouble: null, attachment: { ...one.attachment, tokens, views, leftOut } }));
      });
    } catch (error) {
      if (!controller.signal.aborted && error instanceof ApiError) this.blame(error, attachments, messages.length - 1);
    }
  }

  /** The error stands at the file that it is about, or at all of them. */
  private blame(error: ApiError, attachments: Attachment[], message: number): void {
    const part = new RegExp(`^messages\\[${message}\\]\\.content\\[(\\d+)\\]`).exec(error.param ?? '');
    const guilty = part ? attachments.slice(Number(part[1]), Number(part[1]) + 1) : attachments;
    for (const { id } of guilty) this.change(id, (one) => ({ ...one, counted: true, trouble: error.message }));
  }
}
