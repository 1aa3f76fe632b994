import type { ComponentChildren } from 'preact';
import { useCell } from '../cell';
import { DEFAULTS, type NumberName, RANGES, type Settings, type Theme, type ThinkingMode, checkedNumber } from '../settings';
import { IconButton } from './Icon';
import { useChat } from './context';

type Change = (change: Partial<Settings>) => void;

/** Model and sampling. An empty field is what the checkpoint recommends. */
export function SettingsPanel({ onClose }: { onClose: () => void }) {
  const chat = useChat();
  const settings = useCell(chat.settings);
  const models = useCell(chat.models);
  const change: Change = (part) => (chat.settings.value = { ...settings, ...part });
  const model = chat.model;
  const thinks = model?.thinking ?? true;
  const defaults = model?.defaults ?? {};
  return (
    <aside class="settings" aria-label="Settings">
      <div class="sidebar-head">
        <h2>Settings</h2>
        <IconButton icon="close" label="Close settings" onClick={onClose} />
      </div>
      <Field label="Model" note={model?.context_length ? `${model.context_length.toLocaleString('en')} tokens of context` : ''}>
        <select value={model?.id ?? ''} onChange={(event) => change({ model: event.currentTarget.value })}>
          {models.map((one) => (
            <option key={one.id} value={one.id}>
              {one.id}
            </option>
          ))}
        </select>
      </Field>
      {thinks ? (
        <>
          <Choice label="Thinking" value={settings.thinking} options={['auto', 'on', 'off']} onChoose={(value) => change({ thinking: value as ThinkingMode })} />
          {settings.thinking !== 'off' && <NumberField name="thinkingBudget" label="Thinking budget (tokens)" unset="no limit" settings={settings} change={change} />}
        </>
      ) : (
        <p class="faint">This model answers without thinking.</p>
      )}
      <NumberField name="temperature" label="Temperature" unset={shown(defaults.temperature)} settings={settings} change={change} />
      <NumberField name="topP" label="Top p" unset={shown(defaults.top_p)} settings={settings} change={change} />
      <NumberField name="maxTokens" label="Most tokens of an answer" unset={shown(defaults.max_tokens)} settings={settings} change={change} />
      <NumberField name="seed" label="Seed" unset="another each time" settings={settings} change={change} />
      <Field label="Instructions for every chat">
        <textarea rows={3} dir="auto" value={settings.system} placeholder="none" onInput={(event) => change({ system: event.currentTarget.value })} />
      </Field>
      <Choice label="Appearance" value={settings.theme} options={['system', 'light', 'dark']} onChoose={(value) => change({ theme: value as Theme })} />
      <button type="button" class="quiet" onClick={() => change({ ...DEFAULTS, theme: settings.theme })}>
        Back to the defaults
      </button>
    </aside>
  );
}

const shown = (value: number | null | undefined): string => (value == null ? 'as recommended' : value.toLocaleString('en'));

function Field({ label, note, children }: { label: string; note?: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
      {note && <span class="faint">{note}</span>}
    </label>
  );
}

interface NumberFieldProps {
  name: NumberName;
  label: string;
  unset: string;
  settings: Settings;
  change: Change;
}

function NumberField({ name, label, unset, settings, change }: NumberFieldProps) {
  const { least, most, step } = RANGES[name];
  return (
    <Field label={label}>
      <input
        type="number"
        min={least}
        max={most}
        step={step}
        placeholder={unset}
        value={settings[name] ?? ''}
        onChange={(event) => {
          const checked = checkedNumber(name, event.currentTarget.value);
          event.currentTarget.value = checked === null ? '' : String(checked);
          change({ [name]: checked });
        }}
      />
    </Field>
  );
}

function Choice({ label, value, options, onChoose }: { label: string; value: string; options: string[]; onChoose: (value: string) => void }) {
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      {options.map((option) => (
        <label key={option}>
          <input type="radio" name={label} checked={option === value} onChange={() => onChoose(option)} />
          <span>{option}</span>
        </label>
      ))}
    </fieldset>
  );
}
