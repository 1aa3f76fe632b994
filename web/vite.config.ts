import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

const PAGE = '../src/kimi_vl/server/page';
const BESIDE = ['index.html', 'package-lock.json', 'package.json', 'tsconfig.json', 'vite.config.ts'];

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

/** "digest  name" of every file that the bundle is made of, by name; tests/page/test_bundle.py computes the same. */
function sources(): string {
  const inside = readdirSync('src', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).replaceAll('\\', '/'));
  const names = [...BESIDE, ...inside].sort();
  return sha256(names.map((name) => `${sha256(readFileSync(name))}  ${name}\n`).join(''));
}

/** Writes build.json: what the bundle was made of, and what was made, so that a stale or edited bundle is found without Node. */
function buildRecord(): Plugin {
  return {
    name: 'build-record',
    apply: 'build',
    writeBundle({ dir = PAGE }, bundle) {
      const names = Object.keys(bundle).sort();
      const files = Object.fromEntries(names.map((name) => [name, sha256(readFileSync(join(dir, name)))]));
      writeFileSync(join(dir, 'build.json'), `${JSON.stringify({ sources: sources(), files }, null, 1)}\n`);
    },
  };
}

/** licences.txt: what the packages that the bundle is made of want to be said wherever they go. */
function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle() {
      const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
      const texts = Object.entries(dependencies).map(
        ([name, version]) => `${name} ${version}\n\n${readFileSync(join('node_modules', name, 'LICENSE'), 'utf8').trim()}\n`,
      );
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}

/** KaTeX names each font in three formats; every browser that this page is for reads woff2. */
function woff2Only(): Plugin {
  return {
    name: 'woff2-only',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('katex') || !id.includes('.css')) return null;
      return code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\(["'](?:woff|truetype)["']\)/g, '');
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [woff2Only(), licences(), buildRecord()],
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ['chrome123', 'firefox120', 'safari17.5'], // the first with light-dark()
  },
  server: { proxy: { '/v1': 'http://127.0.0.1:8000', '/health': 'http://127.0.0.1:8000' } },
});
