// Files on their way to the server, and those that are there.

import { ApiError, upload } from './api';
import type { Attachment } from './conversation';
import { shownName } from './media';
import type { Store } from './store';

export class Uploads {
  private readonly running = new Map<string, Promise<string>>();
  private readonly done = new Map<string, string>(); // a draft and a question that was sent in haste have copies of one medium

  constructor(private readonly store: Store) {}

  /** The id of a medium at the server; uploaded where it has none. One upload for all who ask. Raises: ApiError; AbortError. */
  id(attachment: Attachment, signal: AbortSignal, progress: (share: number) => void = () => undefined): Promise<string> {
    const known = attachment.fileId ?? this.done.get(attachment.id);
    if (known) return Promise.resolve(known);
    const under = this.running.get(attachment.id);
    if (under) return under;
    const sending = this.send(attachment, signal, progress).finally(() => this.running.delete(attachment.id));
    this.running.set(attachment.id, sending);
    return sending;
  }

  /** The server has it no more. */
  forget(id: string): void {
    this.done.delete(id);
  }

  private async send(attachment: Attachment, signal: AbortSignal, progress: (share: number) => void): Promise<string> {
    const { blob } = await this.store.medium(attachment.id);
    if (!blob) throw new ApiError(0, 'not_kept', `${shownName(attachment.name)} is no longer kept in this browser; attach it again.`);
    const fileId = await upload(blob, attachment.name, progress, signal);
    this.done.set(attachment.id, fileId);
    return fileId;
  }
}
