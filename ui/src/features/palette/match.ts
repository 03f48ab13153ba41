/** What fits what was typed, and where in the text. Pure. */

export interface Match {
  /** higher is better; 0: it does not fit */
  score: number;
  /** [from, to) of the letters that fit */
  spans: [number, number][];
}

const NONE: Match = { score: 0, spans: [] };

/** Every word that was typed has to be found: at the start of a word best, else within one, else letter by letter. */
export function match(text: string, typed: string): Match {
  const lower = text.toLowerCase();
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return { score: 1, spans: [] };
  let score = 0;
  const spans: [number, number][] = [];
  for (const word of words) {
    const found = one(lower, word);
    if (!found.score) return NONE;
    score += found.score;
    spans.push(...found.spans);
  }
  // of two that fit alike the shorter is meant
  return { score: score / words.length + 1 / (2 + text.length), spans: joined(spans) };
}

function one(text: string, word: string): Match {
  let within = -1;
  for (let from = text.indexOf(word); from >= 0; from = text.indexOf(word, from + 1)) {
    const begins = from === 0 || /[\s/._:@-]/.test(text[from - 1] ?? "");
    if (begins) return { score: from === 0 ? 100 : 80, spans: [[from, from + word.length]] };
    if (within < 0) within = from;
  }
  if (within >= 0) return { score: 50, spans: [[within, within + word.length]] };
  return word.length > 1 ? letters(text, word) : NONE;
}

/** "nprj" in "new project": the letters in order, with as few gaps as a first look finds. */
function letters(text: string, word: string): Match {
  const spans: [number, number][] = [];
  let at = 0;
  for (const letter of word) {
    const found = text.indexOf(letter, at);
    if (found < 0) return NONE;
    const last = spans.at(-1);
    if (last && last[1] === found) last[1] = found + 1;
    else spans.push([found, found + 1]);
    at = found + 1;
  }
  const first = spans[0]?.[0] ?? 0;
  if (at - first > word.length * 3) return NONE; // scattered over the whole text: chance
  return { score: 30 / spans.length, spans };
}

function joined(spans: [number, number][]): [number, number][] {
  const sorted = spans.toSorted((a, b) => a[0] - b[0]);
  const found: [number, number][] = [];
  for (const span of sorted) {
    const last = found.at(-1);
    if (last && span[0] <= last[1]) last[1] = Math.max(last[1], span[1]);
    else found.push([...span]);
  }
  return found;
}

/** Those that fit, the best first; of equals the order stays. */
export function best<T extends { title: string; words?: string }>(items: readonly T[], typed: string): T[] {
  return items
    .map((item) => ({
      item,
      score: Math.max(
        match(item.title, typed).score,
        0.6 * match(`${item.title} ${item.words ?? ""}`, typed).score,
      ),
    }))
    .filter((each) => each.score > 0)
    .toSorted((a, b) => b.score - a.score)
    .map((each) => each.item);
}
