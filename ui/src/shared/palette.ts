/** Which of the two is open: the palette, or the sheet of all keys. Both are fetched when they are first wanted. */
import { create } from "zustand";

export const usePalette = create<{ shown: "" | "palette" | "keys" }>(() => ({ shown: "" }));

export function show(shown: "" | "palette" | "keys"): void {
  usePalette.setState({ shown });
}
