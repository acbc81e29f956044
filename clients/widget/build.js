// `npm run build` runs this after esbuild. It adds the element, as the service serves it, and the types.

import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

const here = (path) => new URL(path, import.meta.url);

copyFileSync(here("../../otp_service/web/widget/widget.js"), here("dist/widget.js"));

for (const name of readdirSync(here("src"))) {
  if (name.endsWith(".d.ts")) copyFileSync(here(`src/${name}`), here(`dist/${name}`));
}

const names = [...readFileSync(here("src/countries.js"), "utf8").matchAll(/^export const (\w+)/gm)].map(([, name]) => name);
writeFileSync(
  here("dist/countries.d.ts"),
  "/** A country for the attribute `countries`: how its phone numbers are written. */\n" +
    "export type Country = string;\n" +
    names.map((name) => `export declare const ${name}: Country;\n`).join(""),
);
