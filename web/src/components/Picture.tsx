import { useEffect, useRef, useState } from 'preact/hooks';
import { type Drawn, type Spot, clock, drawn } from '../grounding';
import { frameAt, shownName } from '../media';
import { IconButton } from './Icon';
import { useChat } from './context';
import { useMedium } from './useMedium';

interface Size {
  width: number;
  height: number;
}

/** A picture with the places that an answer points at, and the same places as a list. What is hovered or focused stands out in both. */
export function SpotView({ spot }: { spot: Spot }) {
  const [size, setSize] = useState<Size | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const told = spot.view;
  const whole = size ?? (told ? { width: told.width, height: told.height } : extent(spot));
  const places = spot.places.map((place, k) => drawn(place, whole.width, whole.height, `${spot.key}-${k}`));
  const name = spotName(spot);
  const body = <Overlaid spot={spot} whole={whole} places={places} chosen={chosen} onChoose={setChosen} onSize={setSize} />;
  return (
    <figure class="spot">
      <div class="spot-picture">
        {body}
        <IconButton icon="expand" label={`Show ${name} larger`} class="spot-expand" onClick={() => dialog.current?.showModal()} />
      </div>
      <figcaption>
        <bdi class="spot-name">{name}</bdi>
        <ul class="spot-places" aria-label={`Found in ${name}`}>
          {places.map((place) => (
            <li key={place.key}>
              <button
                type="button"
                class={place.key === chosen ? 'chosen' : ''}
                onMouseEnter={() => setChosen(place.key)}
                onMouseLeave={() => setChosen(null)}
                onFocus={() => setChosen(place.key)}
                onBlur={() => setChosen(null)}
              >
                <bdi>{place.label || 'here'}</bdi> <span class="numbers">{place.where}</span>
              </button>
            </li>
          ))}
        </ul>
      </figcaption>
      <dialog ref={dialog} class="large" aria-label={name} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
        <IconButton icon="close" label="Close" onClick={() => dialog.current?.close()} />
        {body}
      </dialog>
    </figure>
  );
}

interface OverlaidProps {
  spot: Spot;
  whole: Size;
  places: Drawn[];
  chosen: string | null;
  onChoose: (key: string | null) => void;
  onSize: (size: Size) => void;
}

function Overlaid({ spot, whole, places, chosen, onChoose, onSize }: OverlaidProps) {
  return (
    <div class={`overlaid ${chosen ? 'choosing' : ''}`} style={{ aspectRatio: `${whole.width} / ${whole.height}`, '--ratio': whole.width / whole.height }}>
      <Ground spot={spot} onSize={onSize} />
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        {places.map(
          (place) =>
            place.width + place.height > 0 && (
              <g key={place.key} class={place.key === chosen ? 'chosen' : ''} onMouseEnter={() => onChoose(place.key)} onMouseLeave={() => onChoose(null)}>
                <rect class="halo" x={place.left} y={place.top} width={place.width} height={place.height} />
                <rect class="edge" x={place.left} y={place.top} width={place.width} height={place.height} />
              </g>
            ),
        )}
      </svg>
      {places.map((place) => (
        <Label key={place.key} place={place} isChosen={place.key === chosen} onChoose={onChoose} />
      ))}
    </div>
  );
}

/** The word at a box, above it where there is room, or a point with its word. It is not squeezed with the picture, hence no SVG. */
function Label({ place, isChosen, onChoose }: { place: Drawn; isChosen: boolean; onChoose: (key: string | null) => void }) {
  const isPoint = place.width + place.height === 0;
  const kinds = [isPoint ? 'point' : 'tag', isChosen ? 'chosen' : '', !isPoint && place.top < 8 ? 'within' : '', place.left > 60 ? 'leftward' : ''];
  const at = place.left > 60 && !isPoint ? { right: `${100 - place.left - place.width}%` } : { left: `${place.left}%` };
  return (
    <span
      class={kinds.filter(Boolean).join(' ')}
      style={{ ...at, top: `${place.top}%` }}
      title={`${place.label || 'here'}: ${place.where}`}
      onMouseEnter={() => onChoose(place.key)}
      onMouseLeave={() => onChoose(null)}
      aria-hidden="true"
    >
      {(place.label || isPoint) && <bdi>{place.label}</bdi>}
      {isChosen && <span class="numbers">{place.where}</span>}
    </span>
  );
}

/** The picture itself, a video's frame, or an empty sheet with the page's number where no picture is at hand. */
function Ground({ spot, onSize }: { spot: Spot; onSize: (size: Size) => void }) {
  const { attachment, view, page } = spot;
  const isVideo = attachment?.kind === 'video';
  const url = useMedium(page === null && !isVideo ? attachment?.id : undefined, 'blob');
  const [unread, setUnread] = useState(false);
  if (isVideo) return <Frame id={attachment.id} seconds={view?.time_s ?? 0} onSize={onSize} />;
  if (!url || unread) return <div class="sheet">{page === null ? 'no picture at hand' : `page ${page}`}</div>;
  const read = (event: Event) => {
    const image = event.currentTarget as HTMLImageElement;
    onSize({ width: image.naturalWidth, height: image.naturalHeight });
  };
  return <img src={url} alt={spotName(spot)} onLoad={read} onError={() => setUnread(true)} />;
}

function Frame({ id, seconds, onSize }: { id: string; seconds: number; onSize: (size: Size) => void }) {
  const { store } = useChat();
  const holder = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    let gone = false;
    const draw = async () => {
      const { blob } = await store.medium(id);
      if (!blob || gone) return;
      const canvas = await frameAt(blob, seconds);
      if (gone) return;
      holder.current?.replaceChildren(canvas);
      onSize({ width: canvas.width, height: canvas.height });
      setShown(true);
    };
    draw().catch(() => undefined); // a video that this browser cannot play: the sheet stays
    return () => void (gone = true);
  }, [id, seconds]);
  return (
    <>
      <div class="frame" ref={holder} hidden={!shown} />
      {!shown && <div class="sheet">{`at ${clock(seconds)}`}</div>}
    </>
  );
}

function spotName({ attachment, view, page }: Spot): string {
  const name = attachment ? shownName(attachment.name) : 'picture';
  if (page !== null) return `${name}, page ${page}`;
  return attachment?.kind === 'video' && view?.time_s != null ? `${name}, ${clock(view.time_s)}` : name;
}

/** As large as the places reach, where nobody says how large the picture is. */
function extent(spot: Spot): Size {
  const numbers = spot.places.map((place) => place.box ?? place.point ?? []);
  const most = (offset: number) => Math.max(1, ...numbers.flatMap((n) => n.filter((_, k) => k % 2 === offset)));
  return { width: most(0) * 1.05, height: most(1) * 1.05 };
}
