const UNITS: Record<string, number> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** "4 GiB", "512M", "1.5g" -> bytes; null where it says no size. Decimal units are not told apart: people mean the binary ones. */
export function sizeOf(text: string): number | null {
  const found = /^(\d+(?:[.,]\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (!found) return null;
  const value =
    Number((found[1] as string).replace(",", ".")) * (UNITS[(found[2] || "b").toLowerCase()] as number);
  return value > 0 ? Math.round(value) : null;
}
