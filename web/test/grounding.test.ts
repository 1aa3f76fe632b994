import { expect, it } from 'vitest';
import type { Place } from '../src/conversation';
import { clock, drawn, spots } from '../src/grounding';

const place = (more: Partial<Place>): Place => ({ label: 'x', medium: 0, view: 0, page: null, ...more });

it('draws a box in percent of its picture, whichever corner comes first', () => {
  const box = drawn(place({ box: [300, 100, 100, 50] }), 400, 200, 'k');
  expect(box).toMatchObject({ left: 25, top: 25, width: 50, height: 25, where: '300, 100 – 100, 50 px' });
});

it('cuts off at the edge what lies outside', () => {
  expect(drawn(place({ box: [-100, -1, 900, 900] }), 400, 200, 'k')).toMatchObject({ left: 0, top: 0, width: 100, height: 100 });
  expect(drawn(place({ point: [5, 5] }), 0, 0, 'k')).toMatchObject({ left: 0, top: 0, width: 0, height: 0 });
});

it('counts pages in points', () => {
  expect(drawn(place({ page: 2, point: [10.25, 3] }), 100, 100, 'k').where).toBe('10.3, 3 pt');
});

it('gathers places by picture and page, and leaves out what has no numbers', () => {
  const boxes = [place({ box: [0, 0, 1, 1], medium: 1 }), place({ box: [0, 0, 1, 1] }), place({ box: [0, 0, Number.NaN, 1] }), place({})];
  const points = [place({ point: [1, 1] }), place({ point: [1, 1], page: 4 })];
  const found = spots({ boxes, points, citations: [], looked_at: [] }, []);
  expect(found.map((spot) => [spot.key, spot.places.length])).toEqual([['0-0', 2], ['0-4', 1], ['1-0', 1]]);
});

it('tells times', () => {
  expect([0, 7.9, 61, 3723, -1].map(clock)).toEqual(['0:00', '0:07', '1:01', '1:02:03', '0:00']);
});
