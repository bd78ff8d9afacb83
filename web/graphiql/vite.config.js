import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'fflate';
import { defineConfig } from 'vite';

// compressed replaces every built file by its gzip form, which package web
// embeds and sends as it is. fflate does it and not node:zlib, because the
// bytes of node's zlib differ between versions and processors; fflate's follow
// from the lock file. mtime 0 means "no time".
function compressed() {
  let dir;
  return {
    name: 'citymarket-compressed',
    apply: 'build',
    configResolved(config) {
      dir = config.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = join(entry.parentPath, entry.name);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9, mtime: 0 }));
        rmSync(file);
      }
    },
  };
}

export default defineConfig({
  // Relative addresses, so that the Go side chooses the prefix.
  base: './',
  // The versions of this folder's lock file and nothing of the machine's.
  envDir: false,
  publicDir: false,
  resolve: { dedupe: ['graphql', 'monaco-editor', 'react', 'react-dom'] },
  worker: { format: 'es' },
  build: {
    // Named, not 'baseline-widely-available', which is a date.
    target: ['chrome111', 'firefox114', 'safari16.4'],
    // Nothing is inlined: a data: script or font would need a weaker policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The licences of everything in the bundle, which must travel with it.
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 4000,
    reportCompressedSize: false,
    rolldownOptions: {
      // "use client" at the head of many React modules means nothing here.
      onLog(level, log, handle) {
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log);
      },
    },
  },
  plugins: [compressed()],
});
