// History in IndexedDB: conversations, and the media that belong to them as far as there is room.

import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { Cell } from './cell';
import type { Conversation, Summary } from './conversation';

export const MOST_MEDIA_BYTES = 500e6; // of all conversations; the oldest media go first, their thumbnails stay
export const MOST_MEDIUM_BYTES = 200e6;

interface Medium {
  id: string;
  conversation: string;
  added: number;
  size: number; // of `blob`, 0 without one
  blob: Blob | null;
  thumbnail: Blob | null;
}

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation; indexes: { updated: number } };
  media: { key: string; value: Medium; indexes: { conversation: string } };
}

/** What the page remembers. Where the browser keeps nothing, in memory and `isLasting` is false. */
export class Store {
  readonly kept = new Cell(0); // how often a medium was kept: whoever waits for one looks again
  private readonly memory = { conversations: new Map<string, Conversation>(), media: new Map<string, Medium>() };

  private constructor(private readonly db: IDBPDatabase<Schema> | null) {}

  static async open(): Promise<Store> {
    try {
      const store = new Store(
        await openDB<Schema>('kimi-vl', 1, {
          upgrade(db) {
            db.createObjectStore('conversations', { keyPath: 'id' }).createIndex('updated', 'updated');
            db.createObjectStore('media', { keyPath: 'id' }).createIndex('conversation', 'conversation');
          },
        }),
      );
      await store.sweep();
      return store;
    } catch {
      return new Store(null);
    }
  }

  get isLasting(): boolean {
    return this.db !== null;
  }

  /** The newest first. */
  async summaries(): Promise<Summary[]> {
    const all = await this.all();
    return all.map(({ id, title, updated }) => ({ id, title, updated })).sort((a, b) => b.updated - a.updated);
  }

  async all(): Promise<Conversation[]> {
    return this.db ? await this.db.getAll('conversations') : [...this.memory.conversations.values()];
  }

  async conversation(id: string): Promise<Conversation | undefined> {
    return this.db ? await this.db.get('conversations', id) : this.memory.conversations.get(id);
  }

  async save(conversation: Conversation): Promise<void> {
    if (this.db) await this.db.put('conversations', conversation);
    else this.memory.conversations.set(conversation.id, conversation);
  }

  /** With its media. */
  async remove(id: string): Promise<void> {
    if (!this.db) {
      this.memory.conversations.delete(id);
      return;
    }
    const change = this.db.transaction(['conversations', 'media'], 'readwrite');
    const media = await change.objectStore('media').index('conversation').getAllKeys(id);
    await Promise.all([change.objectStore('conversations').delete(id), ...media.map((key) => change.objectStore('media').delete(key)), change.done]);
  }

  /** Keep a medium; one that is too large to keep is at hand until the page is closed. */
  async keep(id: string, conversation: string, blob: Blob, thumbnail: Blob | null): Promise<void> {
    const medium = { id, conversation, added: Date.now(), size: blob.size, blob, thumbnail };
    this.memory.media.set(id, medium);
    this.kept.value += 1;
    if (!this.db) return;
    const kept = blob.size <= MOST_MEDIUM_BYTES ? medium : { ...medium, size: 0, blob: null };
    try {
      await this.db.put('media', kept);
      await this.makeRoom();
    } catch {
      // the browser has no room; the medium is in memory
    }
  }

  async medium(id: string): Promise<{ blob: Blob | null; thumbnail: Blob | null }> {
    const found = this.memory.media.get(id) ?? (this.db ? await this.db.get('media', id) : undefined);
    return { blob: found?.blob ?? null, thumbnail: found?.thumbnail ?? null };
  }

  /** Media of conversations that never began are not kept. */
  private async sweep(): Promise<void> {
    if (!this.db) return;
    const change = this.db.transaction(['conversations', 'media'], 'readwrite');
    const known = new Set(await change.objectStore('conversations').getAllKeys());
    for (let media = await change.objectStore('media').openCursor(); media; media = await media.continue()) {
      if (!known.has(media.value.conversation)) await media.delete();
    }
    await change.done;
  }

  private async makeRoom(): Promise<void> {
    if (!this.db) return;
    const change = this.db.transaction('media', 'readwrite');
    const media = await change.store.getAll();
    for (const one of oldestBeyond(media, MOST_MEDIA_BYTES)) await change.store.put({ ...one, size: 0, blob: null });
    await change.done;
  }
}

/** What has to go so that the newest have at most so many bytes together. */
export function oldestBeyond<M extends { added: number; size: number }>(media: M[], most: number): M[] {
  let total = 0;
  return [...media].sort((a, b) => b.added - a.added).filter((one) => one.size > 0 && (total += one.size) > most);
}
