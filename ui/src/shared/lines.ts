/** What differs between two texts, line by line (Myers). Pure. */

export interface Row {
  kind: "same" | "added" | "gone" | "changed";
  /** numbers count from 1; null: not there on this side */
  left: number | null;
  right: number | null;
  before: string;
  after: string;
}

const MOST = 4000; // edits; beyond that everything between the first and the last difference counts as changed

/** Rows in order; a line that was replaced by one stands beside it. */
export function compared(before: string, after: string): Row[] {
  const [a, b] = [split(before), split(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail += 1;
  const rows: Row[] = [];
  const same = (left: number, right: number) =>
    rows.push({
      kind: "same",
      left: left + 1,
      right: right + 1,
      before: a[left] ?? "",
      after: b[right] ?? "",
    });
  for (let i = 0; i < head; i += 1) same(i, i);
  let [left, right] = [head, head];
  const middle = kept(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const ends: [number, number] = [a.length - tail - head, b.length - tail - head];
  for (const [x, y] of [...middle, ends]) {
    rows.push(...replaced(a, b, left, head + x, right, head + y));
    [left, right] = [head + x, head + y];
    if (x === ends[0] && y === ends[1]) break;
    same(left, right);
    left += 1;
    right += 1;
  }
  for (let i = 0; i < tail; i += 1) same(a.length - tail + i, b.length - tail + i);
  return rows;
}

/** "+5 lines, 1 changed"; empty: nothing differs. */
export function summed(rows: readonly Row[]): string {
  const of = (kind: Row["kind"]) => rows.filter((r) => r.kind === kind).length;
  const lines = (n: number) => (n === 1 ? "line" : "lines");
  const parts: string[] = [];
  const [added, gone, changed] = [of("added"), of("gone"), of("changed")];
  if (added) parts.push(`+${added} ${lines(added)}`);
  if (gone) parts.push(`−${gone} ${lines(gone)}`);
  if (changed) parts.push(`${changed} changed`);
  return parts.join(", ");
}

/** The rows around what differs; a number stands for so many like rows left out. */
export function folded(rows: readonly Row[], around = 3): (Row | number)[] {
  const near = new Set<number>();
  rows.forEach((row, at) => {
    if (row.kind === "same") return;
    for (let i = at - around; i <= at + around; i += 1) near.add(i);
  });
  const result: (Row | number)[] = [];
  rows.forEach((row, at) => {
    const last = result.at(-1);
    if (near.has(at)) result.push(row);
    else if (typeof last === "number") result[result.length - 1] = last + 1;
    else result.push(1);
  });
  return result;
}

/** Where two lines begin and cease to differ: [from, end in the first, end in the second]. */
export function within(before: string, after: string): [number, number, number] {
  const most = Math.min(before.length, after.length);
  let from = 0;
  while (from < most && before[from] === after[from]) from += 1;
  let back = 0;
  while (back < most - from && before[before.length - 1 - back] === after[after.length - 1 - back]) back += 1;
  return [from, before.length - back, after.length - back];
}

function split(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function replaced(a: string[], b: string[], from: number, to: number, start: number, end: number): Row[] {
  const rows: Row[] = [];
  const pairs = Math.min(to - from, end - start);
  for (let i = 0; i < Math.max(to - from, end - start); i += 1) {
    const left = from + i < to ? from + i : null;
    const right = start + i < end ? start + i : null;
    rows.push({
      kind: i < pairs ? "changed" : left === null ? "added" : "gone",
      left: left === null ? null : left + 1,
      right: right === null ? null : right + 1,
      before: left === null ? "" : (a[left] ?? ""),
      after: right === null ? "" : (b[right] ?? ""),
    });
  }
  return rows;
}

/** The pairs of lines that both texts have, in order: the shortest edit that there is. */
function kept(a: string[], b: string[]): [number, number][] {
  const size = a.length + b.length;
  const most = Math.min(size, MOST);
  const trace: Int32Array[] = [];
  const reach = new Int32Array(2 * most + 3);
  const middle = most + 1;
  for (let edits = 0; edits <= most; edits += 1) {
    trace.push(reach.slice(middle - edits - 1, middle + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && at(reach, middle + k - 1) < at(reach, middle + k + 1));
      let x = down ? at(reach, middle + k + 1) : at(reach, middle + k - 1) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1;
        y += 1;
      }
      reach[middle + k] = x;
      if (x >= a.length && y >= b.length) return walked(trace, a.length, b.length, edits);
    }
  }
  return [];
}

function walked(trace: Int32Array[], lengthA: number, lengthB: number, edits: number): [number, number][] {
  const pairs: [number, number][] = [];
  let [x, y] = [lengthA, lengthB];
  for (let d = edits; d > 0; d -= 1) {
    const reach = trace[d] as Int32Array; // of the step before, from diagonal -d-1 on
    const k = x - y;
    const value = (diagonal: number) => at(reach, diagonal + d + 1);
    const down = k === -d || (k !== d && value(k - 1) < value(k + 1));
    const from = down ? k + 1 : k - 1;
    const [px, py] = [value(from), value(from) - from];
    const begin = down ? px : px + 1;
    while (x > begin) {
      x -= 1;
      y -= 1;
      pairs.push([x, y]);
    }
    [x, y] = [px, py];
  }
  while (x > 0) {
    x -= 1;
    y -= 1;
    pairs.push([x, y]);
  }
  return pairs.reverse();
}

function at(reach: Int32Array, index: number): number {
  return reach[index] ?? 0;
}
