/** What may stand at a place of a pipeline's text, and what stands there means: from the server's schema and from the names
 *  in the text itself. Pure; what is right in the end is the server's to say. */
import { FUNCTIONS, OF_MATCH, OWN_VARIABLES } from "./known.ts";
import { type Outline, outline, type Place, placeAt, type Step, same } from "./places.ts";

export interface Schema {
  description?: string;
  type?: string | string[];
  enum?: string[];
  const?: unknown;
  examples?: unknown[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  required?: string[];
}

/** `insert` instead of the label; `caret`: where in it one goes on. `more`: there is something to choose from then. */
export interface Offer {
  label: string;
  kind: "key" | "value" | "stage" | "variable" | "function";
  detail: string;
  info: string;
  insert?: string;
  caret?: number;
  more?: boolean;
}

export interface Offers {
  from: number;
  offers: Offer[];
}

export interface Meaning {
  from: number;
  to: number;
  title: string;
  detail: string;
  text: string;
}

interface Named {
  name: string;
  about: string;
}

/** Names that a text defines, whatever else is wrong in it. */
export interface Names {
  stages: (Named & { results: string[]; index: Step })[];
  parameters: Named[];
  secrets: string[];
  variables: string[];
}

export function schemaAt(schema: Schema, path: readonly Step[]): Schema | undefined {
  let here: Schema | undefined = schema;
  for (const step of path) {
    if (!here) return undefined;
    if (typeof step === "number") here = here.items;
    else
      here =
        here.properties?.[step] ??
        (typeof here.additionalProperties === "object" ? here.additionalProperties : undefined);
  }
  return here;
}

export function namesIn({ entries, scalars }: Outline): Names {
  const value = (path: Step[]) => scalars.find((s) => same(s.path, path))?.text ?? "";
  const below = (...path: Step[]) =>
    entries
      .filter((e) => e.path.length === path.length + 1 && path.every((step, i) => e.path[i] === step))
      .map((e) => String(e.path.at(-1)));
  const stages = scalars
    .filter((s) => s.path.length === 3 && s.path[0] === "stages" && s.path[2] === "id")
    .map((s) => {
      const index = s.path[1] as Step;
      return {
        name: s.text,
        about: value(["stages", index, "title"]),
        results: below("stages", index, "results"),
        index,
      };
    });
  return {
    stages,
    parameters: below("parameters").map((name) => ({
      name,
      about: [value(["parameters", name, "type"]), value(["parameters", name, "title"])]
        .filter(Boolean)
        .join(", "),
    })),
    secrets: below("secrets"),
    variables: [
      ...new Set([
        ...below("environment"),
        ...below("defaults", "environment"),
        ...stages.flatMap((s) => below("stages", s.index, "environment")),
      ]),
    ],
  };
}

export function offersAt(text: string, at: number, schema: Schema): Offers | null {
  const place = placeAt(text, at);
  const read = outline(text);
  const names = namesIn(read);
  const variable = /\$\{([A-Za-z0-9_]*)$/.exec(text.slice(Math.max(0, at - 200), at));
  if (variable) {
    const closed = text[at] === "}";
    return {
      from: at - (variable[1] ?? "").length,
      offers: variablesAt(place, names, read).map((v) => ({
        ...v,
        insert: closed ? v.label : `${v.label}}`,
      })),
    };
  }
  if (place.kind === "none") return null;
  const here = schemaAt(schema, place.path);
  if (!here) return null;
  if (place.kind === "key" && isList(here) && !place.flow) {
    if (place.word && !"-".startsWith(place.word)) return null;
    return { from: place.from, offers: [element(here)] };
  }
  if (place.kind === "key" || (place.kind === "either" && isMapping(here))) {
    const there = new Set(
      read.entries
        .filter((e) => same(e.path.slice(0, -1), place.path) && !(e.from <= at && at <= e.to))
        .map((e) => String(e.path.at(-1))),
    );
    return { from: place.from, offers: keysOf(here, place, there, text.slice(at)) };
  }
  return valuesAt(place, here, names);
}

function keysOf(here: Schema, place: Place, there: Set<string>, after: string): Offer[] {
  const colon = /^\s*:/.test(after);
  const must = new Set(here.required ?? []);
  return Object.entries(here.properties ?? {})
    .filter(([name]) => !there.has(name))
    .sort(([a], [b]) => Number(must.has(b)) - Number(must.has(a)))
    .map(([name, schema]) => ({
      label: name,
      kind: "key" as const,
      detail: must.has(name) ? "must be there" : kindOf(schema),
      info: schema.description ?? "",
      ...(colon ? {} : written(name, schema, place)),
    }));
}

/** A key with what its kind of value begins with. */
function written(name: string, schema: Schema, place: Place): Pick<Offer, "insert" | "caret" | "more"> {
  const deeper = `\n${" ".repeat(place.column + 2)}`;
  if (isMapping(schema)) {
    if (!place.flow) return whole(`${name}:${deeper}`, true);
    return { insert: `${name}: {}`, caret: name.length + 3, more: true };
  }
  if (isList(schema)) {
    if (!place.flow && schema.items && isMapping(schema.items)) return whole(`${name}:${deeper}- `, true);
    return { insert: `${name}: []`, caret: name.length + 3, more: true };
  }
  return whole(
    `${name}: `,
    !!(schema.enum || schema.const || schema.examples) ||
      kindOf(schema) === "true or false" ||
      NAMED.has(name),
  );
}

const NAMED = new Set(["when", "workspace"]);

function whole(insert: string, more: boolean) {
  return { insert, caret: insert.length, more };
}

function element(here: Schema): Offer {
  const first = here.items?.required?.[0];
  const insert = first ? `- ${first}: ` : "- ";
  return {
    label: "-",
    kind: "key",
    detail: "one more",
    info: here.description ?? "",
    ...whole(insert, false),
  };
}

function valuesAt(place: Place, here: Schema, names: Names): Offers | null {
  const [top, index, key] = place.path;
  const own = names.stages.find((s) => s.index === index)?.name;
  const others = names.stages.filter((s) => s.name !== own);
  const stages = others.map((s): Offer => ({ label: s.name, kind: "stage", detail: s.about, info: "" }));
  if (top === "stages") {
    if (key === "needs" && place.path.length === 4) return { from: place.from, offers: stages };
    if (key === "workspace") return { from: place.from, offers: [...WORKSPACES, ...stages] };
    if (key === "secrets" && place.path.length === 4)
      return { from: place.from, offers: names.secrets.map((s) => plain(s, "secret")) };
    if (key === "confirm" && place.path[3] === "show" && !place.word.includes("/"))
      return {
        from: place.from,
        offers: stages.map((s) => ({ ...s, insert: `${s.label}/`, caret: s.label.length + 1 })),
      };
    if (key === "when") return conditionAt(place, others, names);
  }
  const offers = literals(here);
  return offers.length ? { from: place.from, offers } : null;
}

const WORKSPACES: Offer[] = [
  {
    label: "previous",
    kind: "value",
    detail: "default",
    info: "A copy of the workspace of the first of its needs that ran.",
  },
  { label: "empty", kind: "value", detail: "", info: "It starts with nothing." },
];

/** Names and functions of a condition; after a dot what belongs to the name. */
function conditionAt(place: Place, stages: Names["stages"], names: Names): Offers {
  const typed = /[\w.]*$/.exec(place.word)?.[0] ?? "";
  const from = place.from + place.word.length - typed.length;
  return {
    from,
    offers: [
      ...stages.flatMap((s) =>
        s.results.map(
          (r): Offer => ({ label: `${s.name}.results.${r}`, kind: "stage", detail: "result", info: s.about }),
        ),
      ),
      ...names.parameters.map(
        (p): Offer => ({
          label: `values.${p.name}`,
          kind: "variable",
          detail: p.about,
          info: "Always a text; number(...) makes a number of it.",
        }),
      ),
      ...Object.entries(FUNCTIONS).map(
        ([name, info]): Offer => ({
          label: name,
          kind: "function",
          detail: "function",
          info,
          insert: `${name}()`,
          caret: name.length + 1,
        }),
      ),
    ],
  };
}

function literals(here: Schema): Offer[] {
  const usual = /default: ([^;]+?)\.(?:\s|$)/.exec(here.description ?? "")?.[1] ?? "";
  const said = here.enum ?? (here.const === undefined ? [] : [here.const]);
  const found = said.map(String);
  if (here.type === "boolean") found.push("true", "false");
  if (usual && !found.length && usual !== "none" && !usual.includes(" ")) found.push(usual);
  for (const each of here.examples ?? []) if (!found.includes(String(each))) found.push(String(each));
  return found.map((label) => plain(label, label === usual ? "default" : ""));
}

function plain(label: string, detail: string): Offer {
  return { label, kind: "value", detail, info: "" };
}

function variablesAt(place: Place, names: Names, { scalars }: Outline): Offer[] {
  const variables = (found: Record<string, string>, detail: string) =>
    Object.entries(found).map(([label, info]): Offer => ({ label, kind: "variable", detail, info }));
  const parser = place.path.indexOf("log_parsers");
  const own: Offer[] = [];
  if (parser >= 0) {
    const pattern = scalars.find((s) => same(s.path, [...place.path.slice(0, parser + 2), "pattern"]));
    const groups = [...(pattern?.text ?? "").matchAll(/\(\?P?<(\w+)>/g)].map((m) => m[1] as string);
    own.push(
      ...groups.map((g): Offer => ({ label: g, kind: "variable", detail: "group of the pattern", info: "" })),
    );
    own.push(...variables(OF_MATCH, "of the match"));
  }
  const secret = place.path.includes("environment") ? names.secrets : [];
  return [
    ...own,
    ...names.parameters.map(
      (p): Offer => ({ label: p.name, kind: "variable", detail: "parameter", info: p.about }),
    ),
    ...names.variables.map((v): Offer => ({ label: v, kind: "variable", detail: "environment", info: "" })),
    ...secret.map((s): Offer => ({ label: s, kind: "variable", detail: "secret", info: "" })),
    ...variables(OWN_VARIABLES, "of Winslow"),
  ];
}

/** What a key, a variable or the name of a stage means that stands here. */
export function meaningAt(text: string, at: number, schema: Schema): Meaning | null {
  const read = outline(text);
  const names = namesIn(read);
  const key = read.entries.find((e) => e.from <= at && at <= e.to);
  if (key) {
    const found = schemaAt(schema, key.path);
    if (!found) return null;
    const title = String(key.path.at(-1));
    return { from: key.from, to: key.to, title, detail: kindOf(found), text: found.description ?? "" };
  }
  for (const match of text.matchAll(/\$\{(\w+)\}/g)) {
    if (match.index > at) break;
    if (match.index + match[0].length < at) continue;
    const name = match[1] ?? "";
    const parameter = names.parameters.find((p) => p.name === name);
    const known = OWN_VARIABLES[name] ?? OF_MATCH[name];
    const said = known ?? (parameter ? parameter.about : names.secrets.includes(name) ? "A secret." : "");
    if (!said) return null;
    const detail = known ? "variable" : parameter ? "parameter" : "secret";
    return { from: match.index, to: match.index + match[0].length, title: name, detail, text: said };
  }
  const value = read.scalars.find((s) => s.from <= at && at <= s.to);
  if (value?.path[0] === "stages" && (value.path[2] === "needs" || value.path[2] === "workspace")) {
    const stage = names.stages.find((s) => s.name === value.text);
    if (stage)
      return {
        from: value.from,
        to: value.to,
        title: stage.name,
        detail: "stage",
        text: [stage.about, stage.results.length ? `results: ${stage.results.join(", ")}` : ""]
          .filter(Boolean)
          .join("; "),
      };
  }
  return null;
}

/** A mistake's end: that of the word it begins with. Lines and columns count from 1. */
export function wordAt(text: string, from: number): number {
  const word = /^(?:"[^"\n]*"|'[^'\n]*'|[^\s,:[\]{}]+)/.exec(text.slice(from, from + 300));
  return from + (word?.[0].length ?? 0);
}

/** The word that the server proposes instead, where it does; nothing else is ever changed by itself. */
export function proposal(hint: string): string {
  return /^did you mean ([^\s?]+)\?/i.exec(hint)?.[1] ?? "";
}

function isMapping(schema: Schema): boolean {
  return schema.type === "object";
}

function isList(schema: Schema): boolean {
  return schema.type === "array";
}

function kindOf(schema: Schema): string {
  if (schema.enum) return schema.enum.join(" | ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? ""];
  if (types[0] === "object") return "mapping";
  if (types[0] === "array") return "list";
  if (types[0] === "boolean") return "true or false";
  if (types[0] === "integer" || types[0] === "number") return "number";
  return types[0] === "string" ? "text" : "";
}
