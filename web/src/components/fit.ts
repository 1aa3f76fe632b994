const MOST = 0.4; // of the window's height

/** Make a text area as high as its text. */
export function fit(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight + 2, innerHeight * MOST)}px`;
}
