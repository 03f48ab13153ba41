import { describe, expect, test } from "vitest";
import { clashes, saved, settled, typed } from "@/shared/drafts.ts";

const SERVER = { text: "name: a", mark: 3 };

describe("a draft", () => {
  test("is kept from the first key on, with what it was begun from", () => {
    const draft = typed(null, SERVER, "name: b", 5);
    expect(draft).toEqual({ text: "name: b", base: SERVER, at: 5 });
  });
  test("is over when what was typed is taken back, or saved", () => {
    const draft = typed(null, SERVER, "name: b", 5);
    expect(typed(draft, SERVER, "name: a", 6)).toBeNull();
    expect(settled(draft, { text: "name: b", mark: 4 })).toBeNull();
  });
  test("goes on without a word when only the count of versions has moved", () => {
    const draft = typed(null, SERVER, "name: b", 5);
    const now = { text: "name: a", mark: 9 };
    expect(settled(draft, now)).toEqual({ ...draft, base: now });
    expect(clashes(settled(draft, now), now)).toBe(false);
  });
  test("clashes when somebody else changed the text, and nothing typed is lost by that", () => {
    const draft = typed(null, SERVER, "name: b", 5);
    const now = { text: "name: c", mark: 4 };
    expect(settled(draft, now)).toEqual(draft);
    expect(clashes(draft, now)).toBe(true);
    expect(typed(draft, now, "name: a", 6)).toMatchObject({ text: "name: a", base: SERVER });
  });
  test("keeps what was typed while it was being saved, on top of what was saved", () => {
    const sent = typed(null, SERVER, "name: b", 5);
    expect(saved(sent, "name: b")).toBeNull();
    const more = typed(sent, SERVER, "name: bc", 6);
    const now = { text: "name: b", mark: 4 };
    const left = settled(saved(more, "name: b"), now);
    expect(left).toEqual({ text: "name: bc", base: now, at: 6 });
    expect(clashes(left, now)).toBe(false);
  });
});
