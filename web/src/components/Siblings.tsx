import { type Message, siblings } from '../conversation';
import { IconButton } from './Icon';
import { useChat } from './context';

/** Which of the alternatives is shown, and the way to the others. */
export function Siblings({ message }: { message: Message }) {
  const chat = useChat();
  const all = siblings(chat.current.value, message);
  const place = all.findIndex((one) => one.id === message.id);
  if (all.length < 2) return null;
  const go = (k: number) => {
    const other = all[k];
    if (other) chat.choose(other);
  };
  return (
    <span class="siblings">
      <IconButton icon="left" label="Previous version" disabled={place === 0} onClick={() => go(place - 1)} />
      <span aria-label={`Version ${place + 1} of ${all.length}`}>
        {place + 1}/{all.length}
      </span>
      <IconButton icon="right" label="Next version" disabled={place === all.length - 1} onClick={() => go(place + 1)} />
    </span>
  );
}
