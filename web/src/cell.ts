// A value that components watch.

import { useEffect, useState } from 'preact/hooks';

export class Cell<T> {
  private readonly watchers = new Set<(value: T) => void>();

  constructor(private held: T) {}

  get value(): T {
    return this.held;
  }

  set value(next: T) {
    if (Object.is(next, this.held)) return;
    this.held = next;
    for (const watcher of [...this.watchers]) watcher(next);
  }

  watch(watcher: (value: T) => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }
}

export function useCell<T>(cell: Cell<T>): T {
  const [, redraw] = useState({});
  const drawn = cell.value;
  useEffect(() => {
    if (!Object.is(drawn, cell.value)) redraw({}); // it changed before anybody watched
    return cell.watch(() => redraw({}));
  }, [cell]);
  return drawn;
}
