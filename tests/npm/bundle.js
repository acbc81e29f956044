// Bundles a module of a site: node bundle.js <entry> <outfile> <format> [name=replacement ...]
// With the format "node" for a server, which loads the packages themselves.

import { readFile } from "node:fs/promises";
import { build } from "esbuild";
import { compileScript, parse } from "vue/compiler-sfc";

const [entry, outfile, format, ...aliases] = process.argv.slice(2);

const singleFileComponents = {
  name: "vue",
  setup({ onLoad }) {
    onLoad({ filter: /\.vue$/ }, async ({ path }) => {
      const { descriptor } = parse(await readFile(path, "utf8"), { filename: path });
      return { contents: compileScript(descriptor, { id: "app", inlineTemplate: true }).content, loader: "js" };
    });
  },
};

const browser = {
  minify: true,
  format,
  define: {
    "process.env.NODE_ENV": '"production"',
    __VUE_OPTIONS_API__: "true",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true",
  },
};

await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  jsx: "automatic",
  logLevel: "error",
  alias: Object.fromEntries(aliases.map((alias) => alias.split("="))),
  plugins: [singleFileComponents],
  ...(format === "node" ? { format: "esm", platform: "node", packages: "external" } : browser),
});
