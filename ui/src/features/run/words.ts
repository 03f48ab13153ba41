/** A command between a line that people type and the list of words that is run: as in a shell, but nothing is expanded. Pure. */

/** Words are parted by spaces; quotes and backslashes hold together. Null: a quote is not closed. */
export function wordsOf(line: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at] as string;
    const escaped = char === "\\" && quote !== "'" && at + 1 < line.length;
    if (escaped && (!quote || ['"', "\\", "$", "`"].includes(line[at + 1] ?? ""))) {
      at += 1;
      word = (word ?? "") + line[at];
    } else if (quote) {
      if (char === quote) quote = "";
      else word = (word ?? "") + char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? "") + char;
  }
  if (quote) return null;
  if (word !== null) words.push(word);
  return words;
}

export function lineOf(words: readonly string[]): string {
  return words
    .map((word) => (/^[^\s'"\\]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
