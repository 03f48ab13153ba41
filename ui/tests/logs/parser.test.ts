import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { offered, withOne } from "@/features/logs/highlights.ts";
import { withParser } from "@/features/logs/into.ts";
import { translated } from "@/features/logs/marks.ts";

const PARSER = { file: "a.csv", pattern: "it's (?P<n>\\d+): x", lines: 1, stream: "" as const };
const TEXT = `# keep me
winslow: 1
stages:
  - id: detect   # first
    command:
      - sh
      - -c
      - |
        echo one
        echo two

  - {id: track, command: [x]}
  - id: last
    log_parsers:
      - {file: b.csv, pattern: 'y (?P<y>.)'}
    title: Last
  - id: flow
    log_parsers: []
`;

describe("a log parser goes into the text of a pipeline", () => {
  const stage = (text: string, id: string) => parse(text).stages.find((s: { id: string }) => s.id === id);
  test.each(["detect", "track", "last", "flow"])("into %s, and nothing else changes", (id) => {
    const text = withParser(TEXT, id, PARSER) ?? "";
    expect(stage(text, id).log_parsers.at(-1)).toEqual({ file: "a.csv", pattern: PARSER.pattern });
    const rest = (t: string) => parse(t).stages.map((s: object) => ({ ...s, log_parsers: 0 }));
    expect(rest(text)).toEqual(rest(TEXT));
    expect(text).toContain("# keep me");
    expect(text).toContain("# first");
    expect(stage(text, "last").log_parsers[0].file).toBe("b.csv");
  });
  test("again and again", () => {
    const twice = withParser(withParser(TEXT, "last", PARSER) ?? "", "last", {
      ...PARSER,
      stream: "err",
      lines: 2,
    });
    expect(stage(twice ?? "", "last").log_parsers).toHaveLength(3);
    expect(stage(twice ?? "", "last").log_parsers[2]).toMatchObject({ stream: "err", lines: 2 });
  });
  test("not where the stage is not", () => {
    expect(withParser(TEXT, "nobody", PARSER)).toBeNull();
  });
});

test("the server's way to name groups is read by the browser, and what it cannot read is left to the server", () => {
  expect(translated("(?i)Frame (?P<frame>\\d+)")?.exec("FRAME 12")?.groups?.frame).toBe("12");
  expect(translated("(")).toBeNull();
  expect(translated("")).toBeNull();
});

test("highlights are offered for their pipeline and for all, and get the colour that is used least", () => {
  let all = withOne([], "frame", "", "1");
  all = withOne(all, "warn", "traffic", "2");
  all = withOne(all, "other", "study", "3");
  expect(all.map((h) => h.colour)).toEqual([1, 2, 3]);
  expect(offered(all, "traffic").map((h) => h.pattern)).toEqual(["warn", "frame"]);
  expect(
    withOne(
      all.map((h) => ({ ...h, on: false })),
      "frame",
      "",
      "4",
    ),
  ).toHaveLength(3);
  expect(
    withOne(
      all.map((h) => ({ ...h, on: false })),
      "frame",
      "",
      "4",
    )[0]?.on,
  ).toBe(true);
});
