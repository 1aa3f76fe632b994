// @vitest-environment jsdom
import { describe, expect, it } from 'vitest';
import { blocks, nodes } from '../src/markdown';

function laidOut(text: string): HTMLElement {
  const element = document.createElement('div');
  for (const block of blocks(text)) element.append(nodes(block));
  return element;
}
const formulas = (text: string) => [...laidOut(text).querySelectorAll<HTMLElement>('.formula')].map((one) => [one.textContent, one.dataset['display']]);

describe('formulas', () => {
  it.each([
    ['$x^2$', [['x^2', 'false']]],
    ['a \\(b\\) c \\[d\\]', [['b', 'false'], ['d', 'true']]],
    ['$$\na = b\n$$', [['a = b', 'true']]],
    ['\\[\n\\frac{1}{2}\n\\]', [['\\frac{1}{2}', 'true']]],
    ['text $$y$$ text', [['y', 'true']]],
    ['$a_1 * b_2$ and *c*', [['a_1 * b_2', 'false']]],
    ['It costs $5 and then $6.', []],
    ['from $5-$10', []],
    ['`$x$` and \\$x$', []],
    ['$ x $', []],
    ['$unclosed', []],
    ['```\n$x$\n```', []],
  ])('%j', (text, wanted) => expect(formulas(text)).toEqual(wanted));
});

describe('markup', () => {
  it('keeps what has no attributes and shows everything else as text', () => {
    expect(laidOut('H<sub>2</sub>O<br>x').innerHTML).toBe('<p>H<sub>2</sub>O<br>x</p>\n');
    expect(laidOut('<b style="position:fixed">x</b>').textContent).toContain('<b style="position:fixed">x');
  });

  it('closes what a model leaves open', () => {
    expect(laidOut('```py\nx').querySelector('code')?.className).toBe('language-py');
    expect(laidOut('<b>open\n\nnext').lastElementChild?.outerHTML).toBe('<p>next</p>');
  });

  it('loads no pictures', () => {
    const made = laidOut('![the cat](https://a.example/x.png) ![y](data:image/png;base64,AA)');
    expect(made.querySelector('img')).toBeNull();
    expect(made.textContent).toBe('picture: the cat picture: y\n');
  });

  it('numbers lists as they were numbered', () => {
    expect(laidOut('3. c\n4. d').querySelector('ol')?.getAttribute('start')).toBe('3');
  });
});
