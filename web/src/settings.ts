// What the user chose. Kept in localStorage; the API key never is.

export type ThinkingMode = 'auto' | 'on' | 'off';
export type Theme = 'system' | 'light' | 'dark';

export interface Settings {
  model: string; // empty: the server's first
  thinking: ThinkingMode;
  thinkingBudget: number | null; // tokens; null: no limit
  temperature: number | null; // null: what the checkpoint recommends
  topP: number | null;
  maxTokens: number | null;
  seed: number | null;
  system: string;
  theme: Theme;
}

export const DEFAULTS: Settings = {
  model: '',
  thinking: 'auto',
  thinkingBudget: null,
  temperature: null,
  topP: null,
  maxTokens: null,
  seed: null,
  system: '',
  theme: 'system',
};

export type NumberName = 'thinkingBudget' | 'temperature' | 'topP' | 'maxTokens' | 'seed';

export const RANGES: Record<NumberName, { least: number; most: number; step: number }> = {
  thinkingBudget: { least: 0, most: 2 ** 24, step: 1 },
  temperature: { least: 0, most: 2, step: 0.1 },
  topP: { least: 0.01, most: 1, step: 0.01 },
  maxTokens: { least: 1, most: 2 ** 24, step: 1 },
  seed: { least: 0, most: Number.MAX_SAFE_INTEGER, step: 1 },
};

const KEY = 'kimi-vl.settings';
const ENUMS: { [name: string]: readonly string[] } = { thinking: ['auto', 'on', 'off'], theme: ['system', 'light', 'dark'] };

/** A number within its range (whole where the step is), or null for what is none. */
export function checkedNumber(name: NumberName, value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return null;
  const { least, most, step } = RANGES[name];
  const whole = step === 1 ? Math.round(number) : number;
  return Math.min(most, Math.max(least, whole));
}

/** Settings out of anything: what is not understood is at its default. */
export function checked(value: unknown): Settings {
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const settings: Record<string, unknown> = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    if (name in RANGES) settings[name] = checkedNumber(name as NumberName, given[name]);
    else if (typeof given[name] === 'string' && (ENUMS[name]?.includes(given[name]) ?? true)) settings[name] = given[name];
  }
  return settings as unknown as Settings;
}

export function loadSettings(): Settings {
  try {
    return checked(JSON.parse(localStorage.getItem(KEY) ?? '{}'));
  } catch {
    return DEFAULTS;
  }
}

export function saveSettings(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // no storage, or none left: they hold until the page is closed
  }
}

/** What a request says beside its messages; nothing where the checkpoint's own defaults hold. */
export function requestOptions(settings: Settings, thinks: boolean): Record<string, string | number> {
  const options: Record<string, string | number> = {};
  if (thinks && settings.thinking !== 'auto') options['thinking'] = settings.thinking;
  if (thinks && settings.thinking !== 'off' && settings.thinkingBudget !== null) options['max_thinking_tokens'] = settings.thinkingBudget;
  if (settings.temperature !== null) options['temperature'] = settings.temperature;
  if (settings.topP !== null) options['top_p'] = settings.topP;
  if (settings.maxTokens !== null) options['max_tokens'] = settings.maxTokens;
  if (settings.seed !== null) options['seed'] = settings.seed;
  return options;
}
