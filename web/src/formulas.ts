// KaTeX, a file of its own in the bundle. It builds nodes, never HTML out of text.

import katex from 'katex';
import 'katex/dist/katex.min.css';

const OPTIONS = { throwOnError: true, trust: false, strict: 'ignore', maxSize: 20, maxExpand: 300 } as const;

/** Set a formula in an element. What KaTeX cannot read stays as it was written. */
export function render(tex: string, element: HTMLElement, displayMode: boolean): void {
  const made = document.createElement('span');
  try {
    katex.render(tex, made, { ...OPTIONS, displayMode });
  } catch {
    element.classList.add('unread');
    return;
  }
  element.replaceChildren(...made.childNodes);
  element.classList.add('set');
}
