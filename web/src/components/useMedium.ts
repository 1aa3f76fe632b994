import { useEffect, useState } from 'preact/hooks';
import { useChat } from './context';

/** An address for a medium that the browser still has, or its thumbnail; null until it is there, and where there is none. */
export function useMedium(id: string | undefined, which: 'blob' | 'thumbnail', version?: unknown): string | null {
  const { store } = useChat();
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!id) return;
    let made: string | null = null;
    let gone = false;
    void store.medium(id).then((medium) => {
      const blob = medium[which];
      if (gone || !blob) return;
      made = URL.createObjectURL(blob);
      setUrl(made);
    });
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
      setUrl(null);
    };
  }, [id, which, version]);
  return url;
}
