import { describe, expect, it } from "vitest";
import { joined, matcher, parse, type Row, since, toggled } from "@/features/projects/query.ts";

const NOW = Date.parse("2026-11-24T14:32:00Z");
const row: Row = {
  id: "pk3m8",
  name: "Neckartor, 17 Nov 16:30",
  state: "running",
  pipeline: "traffic",
  tags: ["b14-campaign", "rush-hour"],
  author: "mara",
  updated: "2026-11-24T14:00:00Z",
  created: "2026-11-01T00:00:00Z",
  current: { node: "alder" },
};
const fits = (text: string, other: Partial<Row> = {}) => matcher(parse(text), NOW)({ ...row, ...other });

describe("what is typed above the list", () => {
  it.each([
    "state:running -tag:archive pipeline:traffic* updated:<14d tunnel",
    'tag:"two words" -"not this"',
    "",
  ])("reads and writes the same: %s", (text) => expect(joined(parse(text))).toBe(text));

  it.each([
    ["neckartor", true],
    ["NECKARTOR", true],
    ["tunnel", false],
    ["-tunnel", true],
    ["state:running", true],
    ["state:failed state:running", true],
    ["state:failed", false],
    ["-state:running", false],
    ["tag:b14-campaign tag:rush-hour", true],
    ["tag:b14-campaign tag:night", false],
    ["pipeline:tra*", true],
    ["pipeline:tra", false],
    ["author:mara node:alder", true],
    ["updated:<1h", true],
    ["updated:>1h", false],
    ["created:>14d", true],
    ["unknown:word", false],
    ["pk3", true],
    ["state:", false],
    ["(((", false],
  ])("%s: %s", (text, expected) => expect(fits(text)).toBe(expected));

  it("finds what was paused by a failure under failed", () => {
    expect(fits("state:failed", { state: "paused", pause: { kind: "failure" } })).toBe(true);
    expect(fits("state:failed", { state: "paused", pause: { kind: "person" } })).toBe(false);
  });

  it("puts a chip in, and takes it out again", () => {
    const piece = { key: "state", value: "failed", not: false } as const;
    expect(toggled("tunnel", piece)).toBe("tunnel state:failed");
    expect(toggled("state:failed tunnel", piece)).toBe("tunnel");
  });

  it("understands ages", () => {
    expect(since("<2h")?.(3_600_000)).toBe(true);
    expect(since(">2h")?.(3_600_000)).toBe(false);
    expect(since("yesterday")).toBeNull();
  });
});
