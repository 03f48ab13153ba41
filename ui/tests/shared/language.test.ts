import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { meaningAt, namesIn, offersAt, proposal, type Schema, wordAt } from "@/shared/yaml/language.ts";
import { outline } from "@/shared/yaml/places.ts";

const SCHEMA = JSON.parse(readFileSync("../docs/pipeline.schema.json", "utf-8")) as Schema;

/** `¦` stands for the cursor. */
function offered(text: string) {
  const at = text.indexOf("¦");
  const found = offersAt(text.replace("¦", ""), at, SCHEMA);
  return found ? found.offers.map((o) => o.label) : null;
}
function offer(text: string, label: string) {
  const at = text.indexOf("¦");
  const bare = text.replace("¦", "");
  const found = offersAt(bare, at, SCHEMA);
  const one = found?.offers.find((o) => o.label === label);
  return one && found ? bare.slice(0, found.from) + (one.insert ?? one.label) + bare.slice(at) : undefined;
}

const TOP = `winslow: 1
name: traffic
parameters:
  VIDEO: {type: file, title: Video}
  MIN_AREA: {type: integer, default: 300}
secrets: {LICENCE: {required: false}}
environment: {LOG_LEVEL: info}
stages:
  - id: detect
    title: Detect what moves
    command: [python, a.py]
    results: {vehicles: integer}
  - id: track
`;

describe("what an editor offers in a pipeline", () => {
  test("keys of the place that are not there yet, those that must be there first", () => {
    const top = offered("na¦") ?? [];
    expect(top.slice(0, 3)).toEqual(["winslow", "name", "stages"]);
    expect(offered("winslow: 1\n¦")).not.toContain("winslow");
    expect(offered(`${TOP}    ¦`)).toEqual(expect.arrayContaining(["needs", "when", "log_parsers"]));
    expect(offered(`${TOP}    ¦`)).not.toContain("id");
    expect(offered(`${TOP}    resources: {gpu: {¦}}`)).toEqual(["count", "memory", "model"]);
  });
  test("a key comes with what its value begins with", () => {
    expect(offer(`${TOP}    ¦`, "resources")).toBe(`${TOP}    resources:\n      `);
    expect(offer(`${TOP}    ¦`, "needs")).toBe(`${TOP}    needs: []`);
    expect(offer(`${TOP}    ¦`, "charts")).toBe(`${TOP}    charts:\n      - `);
    expect(offer(`${TOP}    retry: {¦}`, "failed")).toBe(`${TOP}    retry: {failed: }`);
    expect(offer("na¦: x", "name")).toBe("name: x");
  });
  test("values that a key may have, and its default", () => {
    expect(offered(`${TOP}    join: ¦`)).toEqual(["all", "any"]);
    expect(offered(`${TOP}    pause_after: ¦`)).toEqual(["true", "false"]);
    expect(offered("parameters:\n  A: {type: ¦")).toContain("choice");
    expect(offered(`${TOP}    timeout: ¦`)).toEqual(["12h"]);
    expect(offered(`${TOP}    resources: {cpu: ¦}`)).toEqual(["1"]);
  });
  test("other stages in needs and workspace, never the stage itself", () => {
    expect(offered(`${TOP}    needs: [¦]`)).toEqual(["detect"]);
    expect(offered(`${TOP}    needs:\n      - ¦`)).toEqual(["detect"]);
    expect(offered(`${TOP}    workspace: ¦`)).toEqual(["previous", "empty", "detect"]);
    expect(offer(`${TOP}    confirm: {show: [de¦]}`, "detect")).toBe(`${TOP}    confirm: {show: [detect/]}`);
  });
  test("results and values in a condition", () => {
    expect(offered(`${TOP}    when: ¦`)).toEqual(
      expect.arrayContaining(["detect.results.vehicles", "values.MIN_AREA", "number"]),
    );
    expect(offer(`${TOP}    when: detect.results.vehicles > 1 and val¦`, "values.MIN_AREA")).toBe(
      `${TOP}    when: detect.results.vehicles > 1 and values.MIN_AREA`,
    );
  });
  test("variables in dollar and braces, secrets only where they may stand", () => {
    const command = offered(`${TOP}    command: [x, "\${MI¦"]`) ?? [];
    expect(command).toEqual(expect.arrayContaining(["VIDEO", "MIN_AREA", "LOG_LEVEL", "WINSLOW_OUTPUT"]));
    expect(command).not.toContain("LICENCE");
    expect(offered(`${TOP}    environment: {A: "\${¦}"}`)).toContain("LICENCE");
    expect(offer(`${TOP}    command: ["\${MI¦"]`, "MIN_AREA")).toBe(`${TOP}    command: ["\${MIN_AREA}"]`);
    expect(offer(`${TOP}    command: ["\${MI¦}"]`, "MIN_AREA")).toBe(`${TOP}    command: ["\${MIN_AREA}"]`);
  });
  test("groups of its pattern in the columns of a log parser", () => {
    const parser = `${TOP}    log_parsers:\n      - {file: a.csv, pattern: 'n (?P<count>\\d+)', columns: {n: "\${¦"}}`;
    expect(offered(parser)?.slice(0, 2)).toEqual(["count", "TIMESTAMP"]);
  });
  test("nothing in comments and where the schema knows nothing", () => {
    expect(offered("# na¦")).toBeNull();
    expect(offered("nonsense:\n  ¦")).toBeNull();
  });
});

describe("what stands in a pipeline means", () => {
  const meaning = (text: string) => meaningAt(text.replace("¦", ""), text.indexOf("¦"), SCHEMA);
  test("a key by its schema", () => {
    expect(meaning(`${TOP}    pa¦tience: 5m`)).toMatchObject({
      title: "patience",
      text: expect.stringContaining("15m"),
    });
  });
  test("a variable by its parameter or by what Winslow sets", () => {
    expect(meaning(`${TOP}    command: ["\${VI¦DEO}"]`)).toMatchObject({
      title: "VIDEO",
      text: "file, Video",
    });
    expect(meaning(`${TOP}    command: ["\${WINSLOW_OUT¦PUT}"]`)?.text).toContain("results");
  });
  test("a stage that is needed by its title and results", () => {
    expect(meaning(`${TOP}    needs: [det¦ect]`)).toMatchObject({
      detail: "stage",
      text: "Detect what moves; results: vehicles",
    });
  });
  test("and nothing of what it does not know", () => {
    expect(meaning(`${TOP}    command: [pyt¦hon]`)).toBeNull();
    expect(meaning("nonsense¦: 1")).toBeNull();
  });
});

test("names are found in a text that cannot be read as a whole", () => {
  const names = namesIn(outline(`${TOP}    needs: [detect\n    comand: x\n  - id: last\n    oops`));
  expect(names.stages.map((s) => s.name)).toEqual(["detect", "track", "last"]);
  expect(names.parameters.map((p) => p.name)).toEqual(["VIDEO", "MIN_AREA"]);
});

test("a mistake is marked by its word, and only a proposal of the server is offered as a cure", () => {
  const text = "    comand: [x]\n";
  expect(text.slice(4, wordAt(text, 4))).toBe("comand");
  expect(proposal("did you mean command?")).toBe("command");
  expect(proposal("write one of a, b")).toBe("");
});
