/** Where one has been lately, kept in this browser, the newest first. */
export interface Been {
  /** the address within this site */
  to: string;
  title: string;
  kind: "project" | "pipeline" | "node" | "page";
}

const KEY = "winslow.recent";
const MOST = 12;

export function recent(): Been[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept)
      ? kept.filter((e) => typeof e?.to === "string" && typeof e?.title === "string")
      : [];
  } catch {
    return [];
  }
}

export function remember(been: Been): void {
  try {
    const others = recent().filter((each) => each.to !== been.to);
    localStorage.setItem(KEY, JSON.stringify([been, ...others].slice(0, MOST)));
  } catch {
    // a browser that keeps nothing: then nothing is recent
  }
}
