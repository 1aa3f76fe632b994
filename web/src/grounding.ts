// Where an answer points: which places lie in which picture, and how they are drawn over it.

import type { Attachment, Found, Place, SeenView } from './conversation';

export interface Drawn {
  key: string;
  label: string;
  where: string; // for people: pixels of the picture, points of a page
  left: number; // in percent of the picture, within it
  top: number;
  width: number; // 0: a point
  height: number;
}

export interface Spot {
  key: string;
  attachment: Attachment | undefined;
  view: SeenView | undefined;
  page: number | null;
  places: Place[];
}

const MOST_PLACES = 200; // a picture with more is no help to anybody

/** One entry for each picture, page or moment that something is found in, in the order of the conversation. */
export function spots(found: Found, media: Attachment[]): Spot[] {
  const byKey = new Map<string, Spot>();
  for (const place of [...found.boxes, ...found.points].filter(isDrawable).slice(0, MOST_PLACES)) {
    const key = `${place.medium}-${place.page ?? place.view}`;
    const attachment = media[place.medium];
    const spot = byKey.get(key) ?? { key, attachment, view: viewOf(attachment, place), page: place.page, places: [] };
    spot.places.push(place);
    byKey.set(key, spot);
  }
  return [...byKey.values()].sort((a, b) => (a.places[0]?.medium ?? 0) - (b.places[0]?.medium ?? 0) || (a.page ?? 0) - (b.page ?? 0));
}

/** The page or picture of a medium that a place lies in, as `/v1/tokenize` told it. */
export function viewOf(attachment: Attachment | undefined, place: { view?: number; page: number | null }): SeenView | undefined {
  const views = attachment?.views;
  return place.page === null ? views?.[place.view ?? 0] : views?.find((view) => view.page === place.page);
}

function isDrawable(place: Place): boolean {
  const numbers = place.box ?? place.point ?? [];
  return numbers.length === (place.box ? 4 : 2) && numbers.every(Number.isFinite);
}

/** A place over a picture of so many pixels (points). What lies outside is cut off at the edge; corners may come in any order. */
export function drawn(place: Place, width: number, height: number, key: string): Drawn {
  const [a = 0, b = 0, c = a, d = b] = place.box ?? place.point ?? [];
  const [left, right] = [share(Math.min(a, c), width), share(Math.max(a, c), width)];
  const [top, bottom] = [share(Math.min(b, d), height), share(Math.max(b, d), height)];
  const unit = place.page === null ? 'px' : 'pt';
  const where = place.box ? `${round(a)}, ${round(b)} – ${round(c)}, ${round(d)} ${unit}` : `${round(a)}, ${round(b)} ${unit}`;
  return { key, label: place.label, where, left, top, width: right - left, height: bottom - top };
}

const share = (value: number, whole: number): number => (whole > 0 ? Math.min(100, Math.max(0, (100 * value) / whole)) : 0);
const round = (value: number): string => String(Math.round(value * 10) / 10);

/** "0:07" or "1:02:03". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(m).padStart(h ? 2 : 1, '0')}:${String(s).padStart(2, '0')}`;
  return h ? `${h}:${tail}` : tail;
}
