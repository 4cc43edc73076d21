// Holds the pages to Grafana's own types: a field that it does not know, or of another type, stops `tsc`.
//
//     npm install --no-save @grafana/schema@13.2.3 typescript@5
//     node grafana/types.mjs pages.ts && npx tsc --noEmit --strict --skipLibCheck --module esnext \
//         --moduleResolution bundler --target es2022 pages.ts
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "dashboards");

// Words of Grafana's that are enums in TypeScript.
const WORDS = {
  '"mode": "thresholds"': '"mode": FieldColorModeId.Thresholds',
  '"mode": "palette-classic"': '"mode": FieldColorModeId.PaletteClassic',
  '"mode": "absolute"': '"mode": ThresholdsMode.Absolute',
};

// What the Prometheus plugin reads of an annotation, and no schema of Grafana's own knows.
const OF_THE_PLUGIN = ["titleFormat", "useValueForTime", "target"];

const lines = ['import { type Dashboard, FieldColorModeId, ThresholdsMode } from "@grafana/schema";'];
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  const page = JSON.parse(readFileSync(join(folder, file), "utf8"));
  for (const annotation of page.annotations.list) {
    for (const field of OF_THE_PLUGIN) delete annotation[field];
  }
  let text = JSON.stringify(page, null, 1);
  for (const [word, name] of Object.entries(WORDS)) text = text.replaceAll(word, name);
  lines.push(`(${text}) satisfies Dashboard;`);
}
writeFileSync(process.argv[2], `${lines.join("\n")}\n`);
