/** Where one is in a pipeline's text: which key or value stands at a place, whatever is still half typed around it.
 *  Line by line and forgiving, as a reader does it; what the text means in the end is the server's to say. Pure. */

export type Step = string | number;

/** A key with its place in the text. `path` ends with the key itself. */
export interface Entry {
  path: Step[];
  from: number;
  to: number;
}

/** A text that is a value, or an element of a list; quotes taken off. */
export interface Scalar {
  path: Step[];
  from: number;
  to: number;
  text: string;
}

export interface Outline {
  entries: Entry[];
  scalars: Scalar[];
}

/** `path` of the mapping for a key, of the value itself for a value; after a dash it may be either. `from`: where the
 *  word begins that is being typed. `column`: where keys of this mapping stand. */
export interface Place {
  path: Step[];
  kind: "key" | "value" | "either" | "none";
  from: number;
  word: string;
  flow: boolean;
  column: number;
}

interface Block {
  column: number;
  step: Step;
}

interface Flow {
  open: "{" | "[";
  key: string | null;
  index: number;
}

const KEY = /^(?:"([^"\n]*)"|'([^'\n]*)'|([\w$.<][^:#"'{}[\],\n]*?))[ \t]*:(?=[ \t]|$)/;

export function outline(text: string): Outline {
  return new Reading(text).outline;
}

export function placeAt(text: string, at: number): Place {
  return new Reading(text.slice(0, at)).place;
}

export function same(a: readonly Step[], b: readonly Step[]): boolean {
  return a.length === b.length && a.every((step, i) => step === b[i]);
}

class Reading {
  readonly outline: Outline = { entries: [], scalars: [] };
  /** of the end of the text */
  place: Place = { path: [], kind: "key", from: 0, word: "", flow: false, column: 0 };
  private readonly text: string;
  private blocks: Block[] = [];
  private flows: Flow[] = [];
  private token = 0;
  /** the column that the text of a `|` or `>` must lie right of */
  private literal: number | null = null;

  constructor(text: string) {
    this.text = text;
    let at = 0;
    while (at <= text.length) at = this.line(at);
  }

  /** Reads from the beginning of a line; where the next one begins. */
  private line(start: number): number {
    const end = this.endOf(start);
    const line = this.text.slice(start, end);
    const last = end === this.text.length;
    let column = line.length - line.trimStart().length;
    const blank = column === line.length || line[column] === "#";
    if (this.literal !== null && (column > this.literal || (blank && !last))) {
      if (last) this.stand("none", start + column, []);
      return end + 1;
    }
    if (blank) {
      if (last) this.empty(line, start, column);
      return end + 1;
    }
    this.literal = null;
    let dashed = false;
    while (/^-(?=[ \t]|$)/.test(line.slice(column))) {
      this.dash(column);
      dashed = true;
      const after = line.slice(column + 1);
      column += 1 + (after.length - after.trimStart().length);
    }
    if (!dashed) this.leave(column);
    const rest = line.slice(column);
    const key = KEY.exec(rest);
    if (!key) return this.value(start, column, end, last, dashed ? "either" : "key");
    const name = key[1] ?? key[2] ?? key[3] ?? "";
    this.leave(column);
    const parent = this.path();
    this.blocks.push({ column, step: name });
    const from = start + column;
    this.outline.entries.push({ path: [...parent, name], from, to: from + key[0].search(/[ \t]*:$/) });
    const after = rest.slice(key[0].length);
    const begin = column + key[0].length + (after.length - after.trimStart().length);
    if (last && after === "") {
      this.stand("none", from, parent); // right after the colon
      return end + 1;
    }
    return this.value(start, begin, end, last, "value");
  }

  /** What stands after `key:`, after a dash, or alone. */
  private value(start: number, column: number, end: number, last: boolean, kind: Place["kind"]): number {
    const from = start + column;
    const sign = this.text[from];
    if (kind !== "key" && (sign === "{" || sign === "[")) return this.flow(from, start);
    if (kind === "value" && (sign === "|" || sign === ">")) this.literal = this.blocks.at(-1)?.column ?? 0;
    const written = uncommented(this.text.slice(from, end));
    if (kind !== "key" && written) this.scalar(from, from + written.length);
    if (last) this.stand(this.literal === null ? kind : "none", from, this.path(), column);
    return end + 1;
  }

  /** From an opening bracket on, over lines; where the line after it begins. */
  private flow(from: number, lineStart: number): number {
    const margin = this.text.slice(lineStart).search(/[^ ]/);
    let at = from;
    this.token = from;
    while (at < this.text.length) {
      const sign = this.text[at] as string;
      const top = this.flows.at(-1);
      if (sign === "{" || sign === "[") {
        this.flows.push({ open: sign, key: null, index: 0 });
        this.token = at + 1;
      } else if (sign === "}" || sign === "]") {
        this.ended(at);
        this.flows.pop();
        this.token = at + 1;
        if (!this.flows.length) return this.endOf(at) + 1;
      } else if (sign === ",") {
        this.ended(at);
        if (top) {
          top.key = null;
          top.index += 1;
        }
        this.token = at + 1;
      } else if (
        sign === ":" &&
        top?.open === "{" &&
        top.key === null &&
        /[\s,}]|^$/.test(this.text[at + 1] ?? "")
      ) {
        this.named(at, top);
      } else if (sign === '"' || sign === "'") {
        at = this.quoted(at);
      } else if (sign === "#" && /\s/.test(this.text[at - 1] ?? "")) {
        at = this.endOf(at) - 1;
      } else if (sign === "\n" && this.broken(at + 1, margin)) {
        this.flows = []; // it was never closed: what follows is read as if it had been
        return at + 1;
      }
      at += 1;
    }
    const top = this.flows.at(-1);
    const kind = top?.open === "{" && top.key === null ? "key" : "value";
    const typed = this.text.slice(this.token);
    this.stand(kind, this.token + (typed.length - typed.trimStart().length), this.path());
    this.place.flow = true;
    return this.text.length + 1;
  }

  private named(at: number, top: Flow): void {
    const parent = this.path();
    const raw = this.text.slice(this.token, at);
    const from = this.token + (raw.length - raw.trimStart().length);
    const name = bare(raw.trim());
    top.key = name;
    this.outline.entries.push({ path: [...parent, name], from, to: from + raw.trim().length });
    this.token = at + 1;
  }

  private ended(at: number): void {
    const raw = this.text.slice(this.token, at);
    if (!raw.trim()) return;
    const from = this.token + (raw.length - raw.trimStart().length);
    if (this.flows.at(-1)?.open === "[" || this.flows.at(-1)?.key !== null)
      this.scalar(from, from + raw.trim().length);
  }

  /** Whether the line that begins here cannot lie in a bracket that was opened on a line with this margin. */
  private broken(start: number, margin: number): boolean {
    const line = this.text.slice(start, this.endOf(start));
    const column = line.search(/\S/);
    return (
      column >= 0 && column <= margin && (/^-\s/.test(line.slice(column)) || KEY.test(line.slice(column)))
    );
  }

  /** The closing quote, or the end of the line where there is none. */
  private quoted(at: number): number {
    const quote = this.text[at];
    for (let next = at + 1; next < this.text.length; next += 1) {
      const sign = this.text[next];
      if (sign === "\n") return next - 1;
      if (sign === "\\" && quote === '"') next += 1;
      else if (sign === quote) return next;
    }
    return this.text.length;
  }

  private dash(column: number): void {
    while ((this.blocks.at(-1)?.column ?? -1) > column) this.blocks.pop();
    const top = this.blocks.at(-1);
    if (top?.column === column && typeof top.step === "number") top.step += 1;
    else this.blocks.push({ column, step: 0 });
  }

  /** Keys that stand at this column or right of it are over. */
  private leave(column: number): void {
    while ((this.blocks.at(-1)?.column ?? -1) >= column) this.blocks.pop();
  }

  private empty(line: string, start: number, column: number): void {
    if (line[column] === "#") {
      this.stand("none", start + column, []);
      return;
    }
    this.leave(line.length);
    this.stand("key", start + line.length, this.path(), line.length);
  }

  private scalar(from: number, to: number): void {
    const text = bare(this.text.slice(from, to));
    this.outline.scalars.push({ path: this.path(), from, to, text });
  }

  private path(): Step[] {
    const steps: Step[] = this.blocks.map((b) => b.step);
    for (const flow of this.flows) {
      if (flow.open === "[") steps.push(flow.index);
      else if (flow.key !== null) steps.push(flow.key);
    }
    return steps;
  }

  private stand(kind: Place["kind"], from: number, path: Step[], column = 0): void {
    this.place = { path, kind, from, word: this.text.slice(from), flow: false, column };
  }

  private endOf(at: number): number {
    const end = this.text.indexOf("\n", at);
    return end < 0 ? this.text.length : end;
  }
}

function bare(text: string): string {
  return /^(["']).*\1$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text;
}

function uncommented(line: string): string {
  if (/^["']/.test(line)) {
    const end = line.indexOf(line[0] as string, 1);
    if (end > 0) return line.slice(0, end + 1);
  }
  return line.replace(/(^|[ \t])#.*$/, "").trimEnd();
}
