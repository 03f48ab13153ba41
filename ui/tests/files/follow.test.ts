import { renderHook } from "@testing-library/react";
import { expect, test } from "vitest";
import { inPlace, oneAtATime, useHeld } from "@/features/files/follow.ts";

const named = (text: string, bytes = 0) => [...text].map((name) => ({ name, bytes }));
const text = (found: readonly { name: string }[]) => found.map((each) => each.name).join("");

test("what changes while it is asked for is asked for once more behind it, however often it changed", async () => {
  const open: (() => void)[] = [];
  const again = oneAtATime(() => new Promise<void>((done) => open.push(done)));
  const answer = async () => {
    open.at(-1)?.();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  again();
  again();
  again();
  expect(open.length).toBe(1);
  await answer();
  expect(open.length).toBe(2);
  await answer();
  expect(open.length).toBe(2);
  again();
  expect(open.length).toBe(3);
});

test("an answer that fails is not the last one that is asked for", async () => {
  let asked = 0;
  const again = oneAtATime(() => {
    asked += 1;
    return Promise.reject(new Error("away"));
  });
  again();
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  again();
  expect(asked).toBe(2);
});

test("rows that are held keep their places with what they are now, and new ones come below", () => {
  const now = [...named("dbxa", 7)];
  expect(text(inPlace(named("abc"), now))).toBe("abdx");
  expect(inPlace(named("abc"), now)[0]).toEqual({ name: "a", bytes: 7 });
});

test("rows are held in the list that was shown, and in no other", () => {
  const { result, rerender } = renderHook(({ now, list, held }) => text(useHeld(now, list, held)), {
    initialProps: { now: named("bc"), list: "by name", held: true },
  });
  rerender({ now: named("abc"), list: "by name", held: true });
  expect(result.current).toBe("bca");
  rerender({ now: named("abc"), list: "", held: true }); // another order is asked for
  rerender({ now: named("cba"), list: "by size", held: true });
  expect(result.current).toBe("cba");
  rerender({ now: named("cbad"), list: "by size", held: true });
  rerender({ now: named("dcba"), list: "by size", held: false });
  expect(result.current).toBe("dcba");
});
