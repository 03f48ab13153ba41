import { expect, test } from "vitest";
import { FRESH, nameOf, sentOf } from "@/features/create/draft.ts";

const PIPELINE = {
  name: "traffic",
  title: "Traffic",
  parameters: { VIDEO: { kind: "file" as const }, AREA: { kind: "integer" as const } },
} as unknown as Parameters<typeof sentOf>[1];

test("a project is called like its video, until somebody names it, and as they name it whatever the video", () => {
  const chosen = { ...FRESH, values: { VIDEO: "north/tunnel.second.mp4" } };
  expect(nameOf(FRESH, "VIDEO")).toBe("");
  expect(nameOf(chosen, "VIDEO")).toBe("tunnel.second");
  expect(nameOf(chosen, undefined)).toBe("");
  expect(nameOf({ ...chosen, name: "at noon" }, "VIDEO")).toBe("at noon");
  expect(nameOf({ ...chosen, name: "" }, "VIDEO")).toBe(""); // emptied is not unnamed
});

test("what is sent has a name in any case, tags one by one, and no value that the pipeline lost since it was typed", () => {
  const draft = { name: "  ", values: { AREA: "300", GONE: "1" }, tags: " b14, rush-hour  " };
  expect(sentOf(draft, PIPELINE, "VIDEO")).toEqual({
    name: "Traffic",
    values: { AREA: "300" },
    tags: ["b14", "rush-hour"],
  });
  expect(sentOf(FRESH, { ...PIPELINE, title: "" }, "VIDEO").name).toBe("traffic");
});
