import { useState } from 'preact/hooks';
import { type AnswerMessage, type Attachment, isRunning } from '../conversation';
import { spots } from '../grounding';
import { Citations } from './Citations';
import { IconButton } from './Icon';
import { Markdown } from './Markdown';
import { SpotView } from './Picture';
import { Siblings } from './Siblings';
import { Thinking } from './Thinking';
import { UsageLine } from './UsageLine';
import { useChat } from './context';
import { copyText } from './copy';

export function AnswerView({ answer, media, isFree }: { answer: AnswerMessage; media: Attachment[]; isFree: boolean }) {
  const running = isRunning(answer);
  return (
    <article class="answer" aria-label="Answer" aria-busy={running}>
      <Thinking answer={answer} />
      {answer.status === 'waiting' && (
        <p class="waiting">
          <span class="pulsing">Reading</span>
        </p>
      )}
      {answer.text && <Markdown text={answer.text} />}
      {answer.found && <Findings found={answer.found} media={media} />}
      <Ending answer={answer} isFree={isFree} />
      {!running && <Actions answer={answer} isFree={isFree} />}
    </article>
  );
}

function Findings({ found, media }: { found: NonNullable<AnswerMessage['found']>; media: Attachment[] }) {
  const shown = spots(found, media);
  return (
    <>
      {shown.length > 0 && (
        <div class="spots">
          {shown.map((spot) => (
            <SpotView key={spot.key} spot={spot} />
          ))}
        </div>
      )}
      <Citations citations={found.citations} media={media} />
      {found.looked_at.length > 0 && (
        <ul class="looked" aria-label="What was looked at">
          {found.looked_at.map((line, k) => (
            <li key={k} dir="auto">
              {line}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** How an answer ended, where that is not as it should be: one calm line. */
function Ending({ answer, isFree }: { answer: AnswerMessage; isFree: boolean }) {
  const chat = useChat();
  const line = { failed: answer.trouble?.message, stopped: 'You stopped this answer.', length: 'The answer was cut off at its limit of tokens.' };
  const text = line[answer.status as keyof typeof line];
  if (!text) return null;
  return (
    <p class={`ending ${answer.status}`}>
      <span dir="auto">{text}</span>
      {answer.status === 'failed' && (
        <button type="button" class="quiet" disabled={!isFree} onClick={() => chat.retry(answer)}>
          Try again
        </button>
      )}
    </p>
  );
}

function Actions({ answer, isFree }: { answer: AnswerMessage; isFree: boolean }) {
  const chat = useChat();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    setCopied(await copyText(answer.text));
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div class="actions">
      <Siblings message={answer} />
      {answer.text && <IconButton icon={copied ? 'check' : 'copy'} label={copied ? 'Copied' : 'Copy answer'} onClick={() => void copy()} />}
      <IconButton icon="retry" label="Answer again" disabled={!isFree} onClick={() => chat.retry(answer)} />
      <UsageLine answer={answer} />
    </div>
  );
}
