/** A line as pieces: colours that the program gave, the hits of a search, the groups of a highlighting expression. Pure. */
import Anser from "anser";

export interface Piece {
  text: string;
  /** CSS classes */
  names: string;
}

const COLOURS: Record<string, string> = {
  "ansi-red": "rd",
  "ansi-green": "g",
  "ansi-yellow": "y",
  "ansi-blue": "b",
  "ansi-magenta": "mg",
  "ansi-cyan": "k",
  "ansi-bright-black": "d",
  "ansi-black": "d",
  "ansi-white": "",
};

export function pieces(text: string): Piece[] {
  if (!text.includes("\u001b")) return [{ text, names: "" }];
  return Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).map((part) => {
    const fg = part.fg?.replace("-bright", part.fg === "ansi-bright-black" ? "-bright" : "") ?? "";
    const bold = part.decorations?.includes("bold") ? " bold" : "";
    return { text: part.content, names: `${COLOURS[fg] ?? ""}${bold}`.trim() };
  });
}

export function plain(text: string): string {
  return text.includes("\u001b") ? Anser.ansiToText(text) : text;
}

/** What is found gets these CSS classes. */
export interface Marking {
  regex: RegExp;
  names: string;
}

const MOST = 200; // in one line

/** Where something is found: [from, to) in the plain text. */
export type Range = readonly [number, number];

export function ranges(text: string, pattern: RegExp | null): Range[] {
  if (!pattern) return [];
  const found: Range[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match && found.length < MOST; match = pattern.exec(text)) {
    if (match[0].length) found.push([match.index, match.index + match[0].length]);
    else pattern.lastIndex += 1;
  }
  return found;
}

/** Where the groups of what is found lie; of groups within groups the outer one. */
export function groups(text: string, pattern: RegExp): Range[] {
  const found: Range[] = [];
  for (const match of text.matchAll(new RegExp(pattern.source, `${pattern.flags}d`))) {
    for (const range of match.indices?.slice(1) ?? [])
      if (range && range[0] < range[1] && range[0] >= (found.at(-1)?.[1] ?? 0)) found.push(range);
    if (found.length >= MOST) break;
  }
  return found;
}

/** The pieces, cut where ranges begin and end; what lies in a range gets `name` as well. */
export function marked(parts: Piece[], found: Range[], name: string): Piece[] {
  if (!found.length) return parts;
  const result: Piece[] = [];
  let at = 0;
  let next = 0;
  for (const part of parts) {
    let from = 0;
    while (from < part.text.length) {
      while (next < found.length && (found[next] as Range)[1] <= at + from) next += 1;
      const range = found[next];
      const inside = range !== undefined && range[0] <= at + from;
      const until = range === undefined ? part.text.length : (inside ? range[1] : range[0]) - at;
      const to = Math.min(part.text.length, until);
      const names = inside ? `${part.names} ${name}`.trim() : part.names;
      result.push({ text: part.text.slice(from, to), names });
      from = to;
    }
    at += part.text.length;
  }
  return result;
}

/** An expression of the server's language (RE2) as the browser writes it; null: the browser cannot, the server may. */
export function translated(pattern: string): RegExp | null {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const source = pattern.slice(flags?.[0].length ?? 0).replace(/\(\?P</g, "(?<");
  if (!source) return null;
  try {
    return new RegExp(source, `g${[...new Set(flags?.[1] ?? "")].join("")}`);
  } catch {
    return null;
  }
}

/** Whether capital letters count: they do where somebody wrote one. */
export function exact(pattern: string, regex: boolean): boolean {
  return /\p{Lu}/u.test(regex ? pattern.replace(/\\(?:[pP](?:\{\w+\}|\w)|.)/g, "") : pattern);
}

/** The browser's own engine, for what is on screen only; the search over the whole log is the server's. */
export function compiled(pattern: string, regex: boolean): RegExp | null {
  if (!pattern) return null;
  const source = regex ? pattern : pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  try {
    return new RegExp(source, exact(pattern, regex) ? "g" : "gi");
  } catch {
    return null;
  }
}
