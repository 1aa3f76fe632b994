// Text of a model as blocks of safe DOM. Nothing that the model writes becomes markup but what Markdown makes of it: HTML is shown as
// text, pictures are never loaded, links go to http, https and mailto only; and all of it passes DOMPurify with a short list of tags.

import createDOMPurify from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';

export interface Block {
  token: Token;
  raw: string;
}

const MOST_CHARACTERS = 200_000; // beyond, text is shown as it is: laying it out would hold up the page
const MOST_CELLS = 4000; // of one table
const MOST_FORMULA = 4000;
const MOST_HIGHLIGHTED = 30_000;
const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i;
const PLAIN_TAG = /^<\/?(?:b|br|em|i|kbd|mark|s|strong|sub|sup|u)\s*\/?>$/i;

const TAGS =
  'a blockquote b br button code del div em h1 h2 h3 h4 h5 h6 hr i input kbd li mark ol p pre s span strong sub sup table tbody td th thead tr u ul';
const ATTRIBUTES = 'align checked class data-copy data-display dir disabled start tabindex title type'; // and href, which must be SAFE_LINK

let purifier: ReturnType<typeof createDOMPurify> | undefined;

function purify(html: string): DocumentFragment {
  if (!purifier) {
    purifier = createDOMPurify(window);
    purifier.addHook('afterSanitizeAttributes', (node) => {
      if (node.tagName !== 'A') return;
      node.setAttribute('target', '_blank');
      node.setAttribute('rel', 'noopener noreferrer nofollow');
    });
  }
  return purifier.sanitize(html, {
    ALLOWED_TAGS: TAGS.split(' '),
    ALLOWED_ATTR: ['href', ...ATTRIBUTES.split(' ')],
    ADD_URI_SAFE_ATTR: ATTRIBUTES.split(' '),
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: SAFE_LINK,
    RETURN_DOM_FRAGMENT: true,
  });
}

export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// Formulas: $…$ and \(…\) in a line, $$…$$ and \[…\] by themselves. "$5 and $6" is money: no space inside the marks, no digit behind.

const INLINE = [/^\$(?![\s$])((?:\\.|[^\\$\n])*?[^\s\\$])\$(?!\d)/, /^\$\$((?:\\[^]|[^\\$])+?)\$\$/, /^\\\(([^]+?)\\\)/, /^\\\[([^]+?)\\\]/];
const BLOCK = [/^ {0,3}\$\$((?:\\[^]|[^\\$])+?)\$\$[ \t]*(?:\n|$)/, /^ {0,3}\\\[([^]+?)\\\][ \t]*(?:\n|$)/];

interface Formula extends Tokens.Generic {
  text: string;
  display: boolean;
}

const formula = ({ text, display }: Formula): string =>
  `<span class="formula" data-display="${display}">${escaped(text)}</span>`;

function tokenOf(type: string, source: string, patterns: RegExp[], isDisplay: (mark: string) => boolean): Formula | undefined {
  for (const pattern of patterns) {
    const match = pattern.exec(source);
    if (match?.[1]) return { type, raw: match[0], text: match[1].trim(), display: isDisplay(match[0].trimStart()) };
  }
  return undefined;
}

const earliest = (source: string, pattern: RegExp): number | undefined => {
  const at = source.search(pattern);
  return at < 0 ? undefined : at;
};

const marked = new Marked({
  gfm: true,
  extensions: [
    {
      name: 'formula',
      level: 'inline',
      start: (source: string) => earliest(source, /\$|\\[([]/),
      tokenizer: (source: string) => tokenOf('formula', source, INLINE, (raw) => raw.startsWith('$$') || raw.startsWith('\\[')),
      renderer: (token) => formula(token as Formula),
    },
    {
      name: 'formulaBlock',
      level: 'block',
      start: (source: string) => earliest(source, /^ {0,3}(?:\$\$|\\\[)/m),
      tokenizer: (source: string) => tokenOf('formulaBlock', source, BLOCK, () => true),
      renderer: (token) => `<p>${formula(token as Formula)}</p>`,
    },
  ],
  renderer: {
    html: ({ text }) => (PLAIN_TAG.test(text.trim()) ? text : escaped(text)),
    image: ({ href, text }) => {
      const name = `picture: ${escaped(text || 'without a name')}`;
      return SAFE_LINK.test(href) ? `<a class="not-loaded" href="${escaped(href)}">${name}</a>` : `<span class="not-loaded">${name}</span>`;
    },
    link({ href, title, tokens }) {
      const inside = this.parser.parseInline(tokens);
      if (!SAFE_LINK.test(href)) return inside;
      return `<a href="${escaped(href)}"${title ? ` title="${escaped(title)}"` : ''}>${inside}</a>`;
    },
    code: ({ text, lang }) => codeBlock(text, lang),
    table(token) {
      if (token.rows.length * token.header.length > MOST_CELLS) return codeBlock(token.raw, 'table');
      const row = (cells: Tokens.TableCell[], tag: string) =>
        `<tr>${cells.map((cell) => `<${tag} align="${cell.align ?? ''}">${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>`;
      const body = token.rows.map((cells) => row(cells, 'td')).join('');
      return `<div class="table" tabindex="0"><table><thead>${row(token.header, 'th')}</thead><tbody>${body}</tbody></table></div>`;
    },
  },
});

function codeBlock(text: string, lang: string | undefined): string {
  const language = /^[\w+#.-]{1,30}/.exec(lang ?? '')?.[0] ?? '';
  const head = `<div class="code-head"><span>${escaped(language)}</span><button type="button" data-copy="1">Copy</button></div>`;
  return `<div class="code" dir="ltr">${head}<pre tabindex="0"><code class="${language ? `language-${escaped(language)}` : ''}">${escaped(text)}</code></pre></div>`;
}

/** The top-level blocks of a text, each laid out by itself, so that a growing answer is only laid out at its end. */
export function blocks(text: string): Block[] {
  if (text.length > MOST_CHARACTERS) return [{ token: { type: 'plain', raw: text, text }, raw: text }];
  return marked
    .lexer(text)
    .filter((token) => token.type !== 'space' && token.type !== 'def')
    .map((token) => ({ token, raw: token.raw }));
}

/** A block as nodes that are safe to show. */
export function nodes(block: Block): DocumentFragment {
  if (block.token.type === 'plain') {
    const fragment = document.createDocumentFragment();
    const pre = document.createElement('pre');
    pre.className = 'plain';
    pre.textContent = block.raw;
    fragment.append(pre);
    return fragment;
  }
  return purify(marked.parser([block.token]));
}

/** Set formulas and colour code in place; what that needs is loaded when it is first wanted. */
export async function decorate(root: Element): Promise<void> {
  await Promise.all([setFormulas(root), colourCode(root)]);
}

async function setFormulas(root: Element): Promise<void> {
  const formulas = [...root.querySelectorAll<HTMLElement>('.formula')].filter((one) => (one.textContent ?? '').length <= MOST_FORMULA);
  if (formulas.length === 0) return;
  const { render } = await import('./formulas');
  for (const one of formulas) render(one.textContent ?? '', one, one.dataset['display'] === 'true');
}

async function colourCode(root: Element): Promise<void> {
  const codes = [...root.querySelectorAll<HTMLElement>('pre > code[class^="language-"]')];
  if (codes.length === 0) return;
  const { coloured } = await import('./colours');
  for (const code of codes) {
    const text = code.textContent ?? '';
    const html = text.length <= MOST_HIGHLIGHTED ? coloured(text, code.className.slice('language-'.length)) : null;
    if (html !== null) code.replaceChildren(purify(html));
  }
}
