import { useEffect, useRef, useState } from 'preact/hooks';
import type { Attachment, UserMessage } from '../conversation';
import { AttachmentCard } from './AttachmentCard';
import { IconButton } from './Icon';
import { Siblings } from './Siblings';
import { useChat } from './context';
import { copyText } from './copy';
import { fit } from './fit';

export function QuestionView({ message, isFree }: { message: UserMessage; isFree: boolean }) {
  const [editing, setEditing] = useState(false);
  if (editing) return <Editor message={message} onDone={() => setEditing(false)} />;
  return (
    <article class="question" aria-label="Question">
      {message.attachments.length > 0 && (
        <div class="cards">
          {message.attachments.map((attachment) => (
            <AttachmentCard key={attachment.id} attachment={attachment} />
          ))}
        </div>
      )}
      {message.text && (
        <p class="said" dir="auto">
          {message.text}
        </p>
      )}
      <div class="actions">
        <Siblings message={message} />
        <IconButton icon="copy" label="Copy question" onClick={() => void copyText(message.text)} />
        <IconButton icon="edit" label="Edit question" disabled={!isFree} onClick={() => setEditing(true)} />
      </div>
    </article>
  );
}

function Editor({ message, onDone }: { message: UserMessage; onDone: () => void }) {
  const chat = useChat();
  const [text, setText] = useState(message.text);
  const [kept, setKept] = useState<Attachment[]>(message.attachments);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  useEffect(() => fit(area.current), [text]);
  const isEmpty = !text.trim() && kept.length === 0;
  const send = () => {
    if (isEmpty) return;
    onDone();
    chat.resend(message, text.trim(), kept);
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Escape') onDone();
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <article class="question editing" aria-label="Edit question">
      {kept.map((attachment) => (
        <AttachmentCard key={attachment.id} attachment={attachment} onRemove={() => setKept(kept.filter((one) => one !== attachment))} />
      ))}
      <textarea ref={area} dir="auto" aria-label="Question" value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={press} />
      <div class="editing-buttons">
        <button type="button" class="quiet" onClick={onDone}>
          Cancel
        </button>
        <button type="button" class="primary" disabled={isEmpty} onClick={send}>
          Send
        </button>
      </div>
    </article>
  );
}
