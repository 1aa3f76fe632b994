import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { type Block, blocks, decorate, nodes } from '../markdown';
import { copyText } from './copy';

export function Markdown({ text }: { text: string }) {
  const found = useMemo(() => blocks(text), [text]);
  return (
    <div class="markdown" onClick={copyCode}>
      {found.map((block, k) => (
        <BlockView key={k} block={block} />
      ))}
    </div>
  );
}

/** Laid out again only when its own text has changed. */
function BlockView({ block }: { block: Block }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!element.current) return;
    element.current.replaceChildren(nodes(block));
    decorate(element.current).catch(console.error);
  }, [block.raw]);
  return <div class="block" dir="auto" ref={element} />;
}

function copyCode(event: MouseEvent): void {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>('button[data-copy]') : null;
  const code = button?.closest('.code')?.querySelector('code');
  if (!button || !code) return;
  void copyText(code.textContent ?? '').then((worked) => {
    button.textContent = worked ? 'Copied' : 'Select and copy';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
}
