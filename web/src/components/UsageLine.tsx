import type { AnswerMessage } from '../conversation';

/** Tokens in and out, and how fast they came. */
export function UsageLine({ answer }: { answer: AnswerMessage }) {
  const parts = usageParts(answer);
  return parts.length ? (
    <p class="usage" title={answer.model}>
      {parts.join(' · ')}
    </p>
  ) : null;
}

export function usageParts({ usage, firstPiece, lastPiece }: AnswerMessage): string[] {
  if (!usage) return [];
  const image = usage.prompt_tokens_details?.image_tokens ?? 0;
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const thinking = usage.completion_tokens_details?.reasoning_tokens ?? 0;
  const details = [image && `${number(image)} image`, cached && `${number(cached)} cached`].filter(Boolean).join(', ');
  const parts = [`${number(usage.prompt_tokens)} tokens in${details && ` (${details})`}`];
  if (thinking) parts.push(`${number(thinking)} thinking`);
  parts.push(`${number(usage.completion_tokens - thinking)} out`);
  const seconds = ((lastPiece ?? 0) - (firstPiece ?? 0)) / 1000;
  if (seconds > 0.05 && usage.completion_tokens > 1) parts.push(`${rate((usage.completion_tokens - 1) / seconds)} tok/s`);
  return parts;
}

const number = (value: number): string => value.toLocaleString('en');
const rate = (value: number): string => (value < 10 ? value.toFixed(1) : number(Math.round(value)));
