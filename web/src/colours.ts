// Colours of code, a file of its own in the bundle.

import highlighter from 'highlight.js/lib/common';

/** Code as HTML with classes, or null for a language that is not known. */
export function coloured(code: string, language: string): string | null {
  return highlighter.getLanguage(language) ? highlighter.highlight(code, { language, ignoreIllegals: true }).value : null;
}
