import { useEffect, useRef, useState } from 'preact/hooks';
import { useCell } from '../cell';
import { ACCEPTED } from '../media';
import { AttachmentCard } from './AttachmentCard';
import { Icon, IconButton } from './Icon';
import { useChat } from './context';
import { fit } from './fit';

/** Where questions are written. Enter sends, Shift+Enter begins a line. */
export function Composer() {
  const chat = useChat();
  const conversation = useCell(chat.current);
  const draft = chat.draft;
  const text = useCell(draft.text);
  const attached = useCell(draft.attached);
  const count = useCell(draft.count);
  const running = useCell(chat.running).has(conversation.id);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const canSend = !running && (text.trim() !== '' || attached.length > 0);

  useEffect(() => fit(area.current), [text, conversation.id]);
  useEffect(() => area.current?.focus(), [conversation.id]);

  const add = (files: Iterable<File>) => {
    const refused = draft.add(files);
    chat.notice.value = refused.length ? refused.join(' ') : null;
  };
  const send = () => {
    if (canSend) chat.send();
    area.current?.focus();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const paste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    add(files);
  };

  return (
    <form id="composer" class="composer" onSubmit={(event) => (event.preventDefault(), send())} aria-label="New question">
      <DropZone onFiles={add} />
      {attached.length > 0 && (
        <div class="cards">
          {attached.map((one) => (
            <AttachmentCard
              key={one.attachment.id}
              {...one}
              onRemove={() => draft.remove(one.attachment.id)}
              onRetry={() => draft.retry(one.attachment.id)}
            />
          ))}
        </div>
      )}
      <div class="composer-row">
        <input
          ref={picker}
          type="file"
          multiple
          accept={ACCEPTED}
          hidden
          onChange={(event) => {
            add([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = '';
          }}
        />
        <IconButton icon="clip" label="Attach pictures, PDFs or videos" onClick={() => picker.current?.click()} />
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          aria-label="Question"
          aria-describedby="composer-hint"
          placeholder="Ask anything"
          value={text}
          onInput={(event) => (draft.text.value = event.currentTarget.value)}
          onKeyDown={press}
          onPaste={paste}
        />
        {running ? (
          <IconButton icon="stop" label="Stop (Esc)" class="send" onClick={() => chat.stop()} />
        ) : (
          <button type="submit" class="icon-button send" aria-label="Send" title="Send" disabled={!canSend}>
            <Icon name="send" />
          </button>
        )}
      </div>
      <p class="hint" id="composer-hint">
        {count ? <ContextMeter tokens={count.tokens} context={count.context} /> : 'Enter sends, Shift+Enter begins a new line'}
      </p>
    </form>
  );
}

function ContextMeter({ tokens, context }: { tokens: number; context: number }) {
  return (
    <span class="meter">
      <meter min={0} max={context} high={context * 0.9} value={tokens} aria-label="Context used" />
      {tokens.toLocaleString('en')} of {context.toLocaleString('en')} tokens of context
    </span>
  );
}

/** The whole page takes files that are dropped on it. */
function DropZone({ onFiles }: { onFiles: (files: File[]) => void }) {
  const [over, setOver] = useState(false);
  const latest = useRef(onFiles);
  latest.current = onFiles;
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const drag = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      latest.current([...(event.dataTransfer?.files ?? [])]);
    };
    const handlers = { dragenter: drag, dragover: drag, dragleave: leave, drop } as const;
    for (const [name, handler] of Object.entries(handlers)) addEventListener(name, handler as EventListener);
    return () => {
      for (const [name, handler] of Object.entries(handlers)) removeEventListener(name, handler as EventListener);
    };
  }, []);
  return over ? <div class="drop">Drop pictures, PDFs or videos</div> : null;
}
