import { useEffect, useState } from 'preact/hooks';
import { useCell } from '../cell';
import { Composer } from './Composer';
import { IconButton } from './Icon';
import { KeyDialog } from './KeyDialog';
import { SettingsPanel } from './SettingsPanel';
import { Sidebar } from './Sidebar';
import { Thread } from './Thread';
import { useChat } from './context';

const WIDE = '(min-width: 60rem)';

export function App() {
  const chat = useChat();
  const { title } = useCell(chat.current);
  const { theme } = useCell(chat.settings);
  useCell(chat.models);
  const [listed, setListed] = useState(() => matchMedia(WIDE).matches);
  const [setting, setSetting] = useState(false);
  useEffect(() => void (document.documentElement.dataset['theme'] = theme), [theme]);
  useEffect(() => void (document.title = title === 'New chat' ? 'kimi-vl' : `${title} · kimi-vl`), [title]);
  const hideList = () => !matchMedia(WIDE).matches && setListed(false);
  useKeys({
    stop: () => (document.querySelector('dialog[open], .editing, .rename') ? undefined : chat.stop()),
    hide: () => (hideList(), setSetting(false)),
    startNew: () => chat.startNew(),
  });
  return (
    <div class={`app ${listed ? 'listed' : ''} ${setting ? 'setting' : ''}`}>
      <a class="skip" href="#composer" onClick={skip}>
        Skip to the question
      </a>
      {listed && <Sidebar onClose={hideList} />}
      <main>
        <header>
          <IconButton icon="menu" label="Conversations" expanded={listed} onClick={() => setListed(!listed)} />
          <h1 dir="auto">{title}</h1>
          <span class="model-name" title={chat.model?.id}>
            {chat.model?.id}
          </span>
          <IconButton icon="plus" label="New chat (Ctrl+Shift+O)" onClick={() => chat.startNew()} />
          <IconButton icon="settings" label="Settings" expanded={setting} onClick={() => setSetting(!setting)} />
        </header>
        <Thread />
        <Notice />
        <Composer />
      </main>
      {setting && <SettingsPanel onClose={() => setSetting(false)} />}
      <KeyDialog />
      <Announcer />
    </div>
  );
}

function skip(event: MouseEvent): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#composer textarea')?.focus();
}

interface Keys {
  stop: () => void;
  hide: () => void;
  startNew: () => void;
}

function useKeys({ stop, hide, startNew }: Keys): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === 'Escape') {
        stop();
        hide();
      } else if (event.key.toLowerCase() === 'o' && event.shiftKey && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        startNew();
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

/** One calm line about what went wrong outside of an answer. */
function Notice() {
  const chat = useChat();
  const notice = useCell(chat.notice);
  const models = useCell(chat.models);
  if (!notice) return null;
  const retry = () => {
    chat.notice.value = null;
    void chat.findModels();
  };
  return (
    <div class="notice" role="alert">
      <span dir="auto">{notice}</span>
      {models.length === 0 && (
        <button type="button" class="quiet" onClick={retry}>
          Try again
        </button>
      )}
      <IconButton icon="close" label="Dismiss" onClick={() => (chat.notice.value = null)} />
    </div>
  );
}

/** What a screen reader says while an answer is written: how it goes, not every word. */
function Announcer() {
  const text = useCell(useChat().announcement);
  return (
    <div class="unseen" role="status" aria-live="polite">
      {text}
    </div>
  );
}
