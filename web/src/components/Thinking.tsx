import { useEffect, useState } from 'preact/hooks';
import type { AnswerMessage } from '../conversation';
import { Markdown } from './Markdown';

const SECOND = 1000;

/** What the model thought, folded; its time and length run on while it thinks. */
export function Thinking({ answer }: { answer: AnswerMessage }) {
  const [open, setOpen] = useState(false);
  const isLive = answer.status === 'thinking';
  const now = useNow(isLive);
  if (!answer.thinking) return null;
  const ms = answer.thinkingMs ?? now - (answer.thinkingStarted ?? now);
  const exact = answer.usage?.completion_tokens_details?.reasoning_tokens;
  const tokens = exact === undefined ? `about ${answer.thinkingPieces.toLocaleString('en')}` : exact.toLocaleString('en');
  return (
    <details class="thinking" open={open} onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>
        <span class={isLive ? 'pulsing' : ''}>{isLive ? 'Thinking' : 'Thought'}</span>{' '}
        <span class="faint" aria-live="off">
          {isLive ? '' : 'for '}
          {duration(ms)} · {tokens} tokens
        </span>
      </summary>
      {open && <Markdown text={answer.thinking} />}
    </details>
  );
}

function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(() => setNow(Date.now()), SECOND / 2);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / SECOND;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 60 ? `${Math.round(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
