import { useState } from 'preact/hooks';
import type { Attachment, Citation } from '../conversation';
import { viewOf } from '../grounding';
import { shownName } from '../media';
import { Icon } from './Icon';
import { SpotView } from './Picture';

/** Where in a document the answer stands: a chip for each place, and what is behind the one that is open. */
export function Citations({ citations, media }: { citations: Citation[]; media: Attachment[] }) {
  const [open, setOpen] = useState<number | null>(null);
  if (citations.length === 0) return null;
  const shown = open === null ? undefined : citations[open];
  return (
    <section class="citations" aria-label="Sources">
      <div class="chips">
        {citations.map((citation, k) => (
          <button
            key={k}
            type="button"
            class={`chip ${citation.verified ? '' : 'unverified'}`}
            aria-expanded={k === open}
            title={citation.verified ? 'These words stand in the document' : 'These words were not found in the document'}
            onClick={() => setOpen(k === open ? null : k)}
          >
            <Icon name={citation.verified ? 'check' : 'page'} />
            {citation.page === null ? 'document' : `page ${citation.page}`}
            <bdi class="chip-quote">{citation.quote}</bdi>
          </button>
        ))}
      </div>
      {shown && <Cited citation={shown} media={media} />}
    </section>
  );
}

function Cited({ citation, media }: { citation: Citation; media: Attachment[] }) {
  const attachment = media[citation.medium];
  const { page, medium } = citation;
  const place = citation.box ? { label: '', medium, view: 0, page, box: citation.box } : null;
  return (
    <div class="cited">
      <blockquote dir="auto">{citation.quote}</blockquote>
      <p class="faint">
        <bdi>{attachment ? shownName(attachment.name) : 'document'}</bdi>
        {page !== null && `, page ${page}`} · {citation.verified ? 'found word for word' : 'not found in the document; check it'}
      </p>
      {place && <SpotView spot={{ key: `cited-${medium}-${page}`, attachment, view: viewOf(attachment, { page }), page, places: [place] }} />}
    </div>
  );
}
