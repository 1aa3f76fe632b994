import { useCell } from '../cell';
import { useChat } from './context';

const IDEAS = ['What is the total, and where does it stand?', 'Summarise this document in five points.', 'Find every button in this screenshot.', 'What happens in this clip?'];

export function Welcome() {
  const chat = useChat();
  const [model] = useCell(chat.models);
  return (
    <div class="welcome">
      <h2>What would you like to know?</h2>
      <p class="faint">Drop pictures, PDFs or videos anywhere on this page, paste them, or just ask{model ? ` ${model.id}` : ''}.</p>
      <div class="ideas">
        {IDEAS.map((idea) => (
          <button key={idea} type="button" onClick={() => ((chat.draft.text.value = idea), document.querySelector<HTMLElement>('#composer textarea')?.focus())}>
            {idea}
          </button>
        ))}
      </div>
    </div>
  );
}
