/** Write a log parser into the text of a pipeline: only what is added changes, comments and order stay. Pure. */
import { isMap, isScalar, isSeq, type Node, parseDocument, type YAMLMap } from "yaml";

export interface Parser {
  file: string;
  pattern: string;
  lines: number;
  stream: "" | "out" | "err";
}

/** As it stands in a file: quoted so that nothing in it means anything to YAML. */
export function written(parser: Parser): string {
  const parts = [`file: ${quoted(parser.file)}`, `pattern: ${quoted(parser.pattern)}`];
  if (parser.lines > 1) parts.push(`lines: ${parser.lines}`);
  if (parser.stream) parts.push(`stream: ${parser.stream}`);
  return `{${parts.join(", ")}}`;
}

/** The text with the parser in the stage; null: the stage is not in it. */
export function withParser(text: string, stage: string, parser: Parser): string | null {
  const root = parseDocument(text, { keepSourceTokens: true }).contents;
  const stages = isMap(root) ? root.get("stages", true) : null;
  if (!isSeq(stages)) return null;
  const found = stages.items.find((s): s is YAMLMap => isMap(s) && String(s.get("id")) === stage);
  if (!found) return null;
  const flow = written(parser);
  const parsers = found.get("log_parsers", true) as Node | undefined;
  if (isSeq(parsers) && parsers.range) {
    const last = parsers.items.at(-1) as Node | undefined;
    if (parsers.flow) {
      const end = parsers.range[1] - 1;
      return put(text, end, `${last ? ", " : ""}${flow}`);
    }
    if (last?.range)
      return put(text, endOfLine(text, last.range[1]), `\n${dash(text, parsers.range[0])}- ${flow}`);
  }
  if (found.flow && found.range) return put(text, found.range[1] - 1, `, log_parsers: [${flow}]`);
  const first = found.items[0]?.key;
  const value = found.items.at(-1)?.value as Node | null | undefined;
  const key = found.items.at(-1)?.key;
  if (!isScalar(first) || !first.range) return null;
  const margin = " ".repeat(first.range[0] - (text.lastIndexOf("\n", first.range[0] - 1) + 1));
  const reached = value?.range?.[1] ?? (isScalar(key) ? key.range?.[1] : undefined) ?? found.range?.[1] ?? 0;
  const block = `${margin}log_parsers:\n${margin}  - ${flow}`;
  // a text of several lines ends behind its last line end already
  if (text[reached - 1] === "\n") return put(text, reached, `${block}\n`);
  return put(text, endOfLine(text, reached), `\n${block}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function put(text: string, at: number, what: string): string {
  return text.slice(0, at) + what + text.slice(at);
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

/** The spaces before the dashes of a list. */
function dash(text: string, at: number): string {
  return " ".repeat(at - (text.lastIndexOf("\n", at - 1) + 1));
}
