import { useEffect, useRef } from 'preact/hooks';
import { keyQuestion } from '../api';
import { useCell } from '../cell';

/** Asks for the API key where the server wants one. It is kept in memory only, hence asked for again after a reload. */
export function KeyDialog() {
  const question = useCell(keyQuestion);
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (question && !dialog.current?.open) dialog.current?.showModal();
    if (!question) dialog.current?.close();
  }, [question]);
  const give = (event: SubmitEvent) => {
    event.preventDefault();
    const key = field.current?.value.trim() ?? '';
    if (field.current) field.current.value = '';
    question?.answer(key || null);
  };
  return (
    <dialog ref={dialog} class="key" aria-labelledby="key-title" onCancel={() => question?.answer(null)}>
      <form onSubmit={give}>
        <h2 id="key-title">This server wants an API key</h2>
        <p class="faint">{question?.again ? 'That key was not accepted. ' : ''}It stays in this tab’s memory and is never stored.</p>
        <input ref={field} type="password" name="key" autocomplete="off" spellcheck={false} aria-label="API key" required />
        <div class="editing-buttons">
          <button type="button" class="quiet" onClick={() => question?.answer(null)}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Use this key
          </button>
        </div>
      </form>
    </dialog>
  );
}
