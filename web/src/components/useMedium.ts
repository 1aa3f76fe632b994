import { useEffect, useState } from 'preact/hooks';
import { useChat } from './context';

/** An address for a medium that the browser still has, or its thumbnail; null until it is there, and where there is none. */
export function useMedium(id: string | undefined, which: 'blob' | 'thumbnail'): string | null {
  const { store } = useChat();
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!id) return;
    let made: string | null = null;
    let gone = false;
    const look = async () => {
      const blob = (await store.medium(id))[which];
      if (gone || made || !blob) return;
      made = URL.createObjectURL(blob);
      setUrl(made);
    };
    void look();
    const unwatch = store.kept.watch(() => void look());
    return () => {
      gone = true;
      unwatch();
      if (made) URL.revokeObjectURL(made);
      setUrl(null);
    };
  }, [id, which]);
  return url;
}
