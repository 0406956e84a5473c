import { readdirSync, readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";
import manifest from "./package.json" with { type: "json" };

/** Where `npm run dev` finds the server: `python -m cloud_api`. */
const server = "http://127.0.0.1:8080";

/** What is bundled keeps its licence beside it. */
function licences(): Plugin {
  const textOf = (name: string): string => {
    const folder = new URL(`./node_modules/${name}/`, import.meta.url);
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} ships no licence`);
    return `${name}\n\n${readFileSync(new URL(file, folder), "utf8")}`;
  };
  return {
    name: "licences",
    apply: "build",
    generateBundle() {
      const names = [...Object.keys(manifest.dependencies), "@preact/signals-core"];
      this.emitFile({ type: "asset", fileName: "licences.txt", source: names.map(textOf).join("\n\n\n") });
    },
  };
}

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [licences()],
  build: {
    target: "es2022",
    // A page under `default-src 'self'` may load no data: addresses and run no inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": { target: server, ws: true } } },
});
