import type { ComponentChildren } from 'preact';
import type { Attachment } from '../conversation';
import { bytes, shownName } from '../media';
import { clock } from '../grounding';
import { Icon, IconButton } from './Icon';
import { useMedium } from './useMedium';

interface CardProps {
  attachment: Attachment;
  progress?: number;
  counted?: boolean;
  trouble?: string | null;
  onRemove?: () => void;
  onRetry?: () => void;
}

const ICONS = { image: 'picture', video: 'film', document: 'page' } as const;

/** A medium: its thumbnail, name, what it costs, and what is not seen of it. */
export function AttachmentCard({ attachment, progress = 1, counted = true, trouble = null, onRemove, onRetry }: CardProps) {
  const thumbnail = useMedium(attachment.id, 'thumbnail');
  const name = shownName(attachment.name);
  return (
    <div class={`card ${trouble ? 'troubled' : ''}`}>
      <div class="card-picture">{thumbnail ? <img src={thumbnail} alt="" /> : <Icon name={ICONS[attachment.kind]} />}</div>
      <div class="card-text">
        <bdi class="card-name" title={name}>
          {name}
        </bdi>
        <Line class="card-cost">{trouble ? null : progress < 1 ? `uploading ${Math.round(progress * 100)} %` : cost(attachment, counted)}</Line>
        <Line class="card-trouble">{trouble}</Line>
        <Line class="card-note">{trouble ? null : note(attachment)}</Line>
      </div>
      {progress < 1 && !trouble && <progress class="card-progress" value={progress} aria-label={`upload of ${name}`} />}
      {trouble && onRetry && <IconButton icon="retry" label={`Upload ${name} again`} onClick={onRetry} />}
      {onRemove && <IconButton icon="close" label={`Remove ${name}`} onClick={onRemove} class="card-remove" />}
    </div>
  );
}

function Line({ class: kind, children }: { class: string; children: ComponentChildren }) {
  return children ? <span class={kind}>{children}</span> : null;
}

function cost({ tokens, size, views, kind }: Attachment, counted: boolean): string {
  if (tokens === undefined) return counted ? bytes(size) : `${bytes(size)} · counting…`;
  return [`${tokens.toLocaleString('en')} tokens`, seen(views, kind)].filter(Boolean).join(' · ');
}

function seen(views: Attachment['views'], kind: Attachment['kind']): string {
  if (!views?.length) return '';
  if (kind === 'document') return views.length === 1 ? `page ${views[0]?.page ?? 1}` : `${views.length} pages`;
  const last = views.at(-1)?.time_s;
  if (kind === 'video') return `${views.length} frames${last == null ? '' : ` to ${clock(last)}`}`;
  return views.length === 1 ? `${views[0]?.width} × ${views[0]?.height}` : `${views.length} frames`;
}

/** Why something was shrunk or left out. */
function note({ views, leftOut }: Attachment): string | null {
  const notes = [leftOut, ...new Set(views?.map((view) => view.note) ?? [])].filter((one) => one);
  return notes.length ? notes.join('; ') : null;
}
