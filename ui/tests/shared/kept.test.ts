import { expect, test } from "vitest";
import { kept } from "@/shared/kept.ts";

test("a form is there again as it was left, with what a newer page has besides; what cannot be read is nothing", () => {
  const fresh = { values: {}, comment: "", pauseAfter: false };
  expect(kept('{"values":{"AREA":"3"},"comment":"why"}', fresh)).toEqual({
    values: { AREA: "3" },
    comment: "why",
    pauseAfter: false,
  });
  for (const text of [null, "", "{", "3", "[1]", "null"]) expect(kept(text, fresh)).toBeNull();
});
