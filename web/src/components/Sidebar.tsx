import { useEffect, useRef, useState } from 'preact/hooks';
import { useCell } from '../cell';
import type { Summary } from '../conversation';
import { IconButton } from './Icon';
import { useChat } from './context';
import { download } from './copy';

/** The conversations, the newest first. */
export function Sidebar({ onClose }: { onClose: () => void }) {
  const chat = useChat();
  const history = useCell(chat.history);
  const current = useCell(chat.current);
  const running = useCell(chat.running);
  const [wanted, setWanted] = useState('');
  const shown = history.filter((one) => one.title.toLowerCase().includes(wanted.trim().toLowerCase()));
  return (
    <nav class="sidebar" aria-label="Conversations">
      <div class="sidebar-head">
        <span class="brand">kimi-vl</span>
        <IconButton icon="close" label="Close conversations" class="phone-only" onClick={onClose} />
      </div>
      <button type="button" class="new-chat" onClick={() => (chat.startNew(), onClose())}>
        New chat
      </button>
      {history.length > 8 && (
        <input type="search" placeholder="Search titles" aria-label="Search titles" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
      )}
      <ul class="history">
        {shown.map((one) => (
          <Entry key={one.id} summary={one} isCurrent={one.id === current.id} isRunning={running.has(one.id)} onOpen={onClose} />
        ))}
      </ul>
      {history.length > 0 && (
        <button type="button" class="quiet" onClick={() => void chat.exported(null).then((blob) => download(blob, 'kimi-vl-conversations.json'))}>
          Export all
        </button>
      )}
    </nav>
  );
}

interface EntryProps {
  summary: Summary;
  isCurrent: boolean;
  isRunning: boolean;
  onOpen: () => void;
}

function Entry({ summary, isCurrent, isRunning, onOpen }: EntryProps) {
  const chat = useChat();
  const [doing, setDoing] = useState<'renaming' | 'deleting' | null>(null);
  const done = () => setDoing(null);
  if (doing === 'renaming') return <Rename summary={summary} onDone={done} />;
  if (doing === 'deleting') return <Delete summary={summary} onDone={done} />;
  const save = () => void chat.exported(summary.id).then((blob) => download(blob, 'kimi-vl-conversation.json'));
  return (
    <li class={isCurrent ? 'current' : ''}>
      <a href={`#${summary.id}`} aria-current={isCurrent ? 'page' : undefined} onClick={onOpen} dir="auto" title={summary.title}>
        {summary.title}
        {isRunning && <span class="dot" aria-label="is being answered" role="img" />}
      </a>
      <span class="entry-actions">
        <IconButton icon="edit" label={`Rename ${summary.title}`} onClick={() => setDoing('renaming')} />
        <IconButton icon="download" label={`Export ${summary.title}`} onClick={save} />
        <IconButton icon="trash" label={`Delete ${summary.title}`} onClick={() => setDoing('deleting')} />
      </span>
    </li>
  );
}

function Rename({ summary, onDone }: { summary: Summary; onDone: () => void }) {
  const chat = useChat();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  const save = () => {
    void chat.rename(summary.id, field.current?.value ?? '');
    onDone();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Escape') onDone();
    if (event.key === 'Enter' && !event.isComposing) save();
  };
  return (
    <li>
      <input ref={field} class="rename" aria-label="Title" maxLength={200} defaultValue={summary.title} onKeyDown={press} onBlur={save} />
    </li>
  );
}

function Delete({ summary, onDone }: { summary: Summary; onDone: () => void }) {
  const chat = useChat();
  const yes = useRef<HTMLButtonElement>(null);
  useEffect(() => yes.current?.focus(), []);
  return (
    <li class="deleting">
      <span>Delete for good?</span>
      <button ref={yes} type="button" class="quiet danger" onClick={() => void chat.remove(summary.id)}>
        Delete
      </button>
      <button type="button" class="quiet" onClick={onDone}>
        Keep
      </button>
    </li>
  );
}
