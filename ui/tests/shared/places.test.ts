import { describe, expect, test } from "vitest";
import { outline, placeAt } from "@/shared/yaml/places.ts";

/** `|` stands for the cursor. */
function at(text: string) {
  const place = placeAt(text.replace("¦", ""), text.indexOf("¦"));
  return { path: place.path.join("."), kind: place.kind, word: place.word, flow: place.flow };
}

const FILE = `winslow: 1
parameters:
  VIDEO:    {type: file, accept: [.mp4, ".mkv"]}
stages:
  - id: detect
    command: [python, "a.py"] # not: this
    results: {vehicles: integer}
  - id: track
    needs:
      - detect
`;

describe("where one is in a pipeline's text", () => {
  test("a key at the margin belongs to the file", () => {
    expect(at("winslow: 1\nna¦")).toMatchObject({ path: "", kind: "key", word: "na" });
  });
  test("an empty line belongs to the mapping that its spaces reach", () => {
    expect(at(`${FILE}    ¦`)).toMatchObject({ path: "stages.1", kind: "key" });
    expect(at(`${FILE}      ¦`)).toMatchObject({ path: "stages.1.needs", kind: "key" });
    expect(at(`${FILE}¦`)).toMatchObject({ path: "", kind: "key" });
  });
  test("after a dash it may be a key or an element", () => {
    expect(at("stages:\n  - i¦")).toMatchObject({ path: "stages.0", kind: "either", word: "i" });
    expect(at("stages:\n- id: a\n- ¦")).toMatchObject({ path: "stages.1", kind: "either" });
  });
  test("lists may stand at the column of their key", () => {
    expect(at("stages:\n- id: a\n  needs:\n  - ¦")).toMatchObject({
      path: "stages.0.needs.0",
      kind: "either",
    });
  });
  test("values are told from keys, in lines and in brackets", () => {
    expect(at("stages:\n  - id: a\n    join: al¦")).toMatchObject({
      path: "stages.0.join",
      kind: "value",
      word: "al",
    });
    expect(at("parameters:\n  A: {type: in¦")).toMatchObject({
      path: "parameters.A.type",
      kind: "value",
      word: "in",
    });
    expect(at("parameters:\n  A: {type: integer, de¦")).toMatchObject({
      path: "parameters.A",
      kind: "key",
      word: "de",
    });
    expect(at("a: {b: [x, {c: d}, y¦")).toMatchObject({ path: "a.b.2", kind: "value", word: "y" });
  });
  test("nothing is offered in comments, texts of several lines, and right after a colon", () => {
    expect(at("# na¦").kind).toBe("none");
    expect(at("description: |\n  name¦").kind).toBe("none");
    expect(at("name:¦").kind).toBe("none");
    expect(at("description: |\n  text\nna¦")).toMatchObject({ kind: "key", path: "" });
  });
  test("brackets and commas in quotes do not count", () => {
    expect(at(`a: ["x, ]", 'y', ¦`)).toMatchObject({ path: "a.2", kind: "value" });
  });
  test("a bracket that was never closed does not swallow what follows", () => {
    const text = "stages:\n  - id: a\n    needs: [b\n    join: all\n";
    expect(outline(text).entries.map((e) => e.path.join("."))).toEqual([
      "stages",
      "stages.0.id",
      "stages.0.needs",
      "stages.0.join",
    ]);
  });
  test("all keys and values are found with their places", () => {
    const { entries, scalars } = outline(FILE);
    expect(entries.map((e) => e.path.join("."))).toEqual([
      "winslow",
      "parameters",
      "parameters.VIDEO",
      "parameters.VIDEO.type",
      "parameters.VIDEO.accept",
      "stages",
      "stages.0.id",
      "stages.0.command",
      "stages.0.results",
      "stages.0.results.vehicles",
      "stages.1.id",
      "stages.1.needs",
    ]);
    for (const entry of entries) expect(FILE.slice(entry.from, entry.to)).toBe(entry.path.at(-1));
    expect(scalars.find((s) => s.path.join(".") === "parameters.VIDEO.accept.1")?.text).toBe(".mkv");
    expect(scalars.find((s) => s.path.join(".") === "stages.1.needs.0")?.text).toBe("detect");
  });
  test("any beginning of a file can be read", () => {
    for (let end = 0; end <= FILE.length; end += 1) expect(placeAt(FILE, end)).toBeDefined();
  });
});
