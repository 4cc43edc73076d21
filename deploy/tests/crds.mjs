// Holds the custom resources of renderings to their own definitions, with the packages of kubernetes-models:
//
//     node crds.mjs FOLDER          FOLDER has node_modules and objects.json, a list of objects
//
// Values by `validate()`; unknown fields, which that lets pass, by writing each object as TypeScript for `tsc`.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);

const PACKAGES = {
  "external-secrets.io": "external-secrets",
  "gateway.envoyproxy.io": "envoy-gateway",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

// Fields that a definition here is too old for, and where their vendor describes them. Taken out before `tsc`.
const NEWER = {
  // envoyproxy/gateway#8455, merged in March 2026
  BackendTrafficPolicy: [["spec", "timeout", "http", "streamIdleTimeout"]],
};

const objects = JSON.parse(readFileSync(join(folder, "objects.json"), "utf8"));
const lines = [];
let failures = 0;

for (const object of objects) {
  const [group, version] = object.apiVersion.split("/");
  const name = `@kubernetes-models/${PACKAGES[group]}/${group}/${version}/${object.kind}`;
  const file = join(folder, "node_modules", `${name}.js`);
  const { [object.kind]: Model } = await import(pathToFileURL(file));
  try {
    new Model(structuredClone(object)).validate();
  } catch (error) {
    failures += 1;
    console.error(`${object.kind}/${object.metadata.name}: ${error.message}`);
  }
  const known = structuredClone(object);
  for (const path of NEWER[object.kind] ?? []) {
    const holder = path.slice(0, -1).reduce((place, key) => place?.[key], known);
    if (holder !== undefined) delete holder[path.at(-1)];
  }
  const alias = `Kind${lines.length}`;
  lines.push(`import type { I${object.kind} as ${alias} } from "${name}";`);
  lines.push(`(${JSON.stringify(known)}) satisfies ${alias};`);
}

writeFileSync(join(folder, "objects.ts"), `${lines.join("\n")}\n`);
console.log(`${objects.length} custom resources, ${failures} with wrong values`);
process.exit(failures ? 1 : 0);
