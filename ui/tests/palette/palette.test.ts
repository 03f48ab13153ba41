import { expect, test } from "vitest";
import { groups, type Item, PAGES, type Sources } from "@/features/palette/items.ts";
import { best, match } from "@/features/palette/match.ts";
import { sheet } from "@/features/palette/sheet.ts";

const item = (title: string, more: Partial<Item> = {}): Item => ({ id: title, title, kind: "page", ...more });
const nothing: Sources = { acts: [], recent: [], projects: [], pipelines: [], nodes: [], pages: [] };

test("the start of a word counts more than its middle, and that more than scattered letters", () => {
  const [start, middle, letters] = [
    match("Redo track…", "track"),
    match("backtrack", "track"),
    match("to ask", "tk"),
  ];
  expect(start.score).toBeGreaterThan(middle.score);
  expect(middle.score).toBeGreaterThan(letters.score);
  expect(letters.score).toBeGreaterThan(0);
});

test("every word that was typed has to be found, in any order", () => {
  expect(match("Neckartor, 17 Nov 16:30", "nov neck").score).toBeGreaterThan(0);
  expect(match("Neckartor, 17 Nov 16:30", "nov hamburg").score).toBe(0);
});

test("letters that lie far apart are chance, and no match", () => {
  expect(match("a very long name of a project with zebras", "az").score).toBe(0);
});

test("what fits is marked once, where two words fit the same letters", () => {
  expect(match("Nodes", "no node").spans).toEqual([[0, 4]]);
});

test("of two that fit alike the shorter stands first", () => {
  expect(best([item("Log of the nodes"), item("Log")], "log").map((i) => i.title)).toEqual([
    "Log",
    "Log of the nodes",
  ]);
});

test("a page is found by what it holds, after those that are called so", () => {
  const found = best(PAGES, "groups").map((i) => i.title);
  expect(found[0]).toBe("Settings: groups");
  expect(best(PAGES, "password")[0]?.title).toBe("Settings: profile");
});

test("with nothing typed the places where one has been stand first, and no project twice", () => {
  const sources = {
    ...nothing,
    acts: [item("Redo…", { kind: "act" })],
    recent: [item("north", { to: "/projects/p1" })],
    projects: [item("north", { to: "/projects/p1" }), item("south", { to: "/projects/p2" })],
    pages: [item("Nodes", { to: "/nodes" })],
  };
  expect(groups(sources, "").map((g) => [g.title, g.items.map((i) => i.title)])).toEqual([
    ["Recent", ["north"]],
    ["Here", ["Redo…"]],
    ["Projects", ["south"]],
    ["Pages", ["Nodes"]],
  ]);
});

test("the kind with the best match stands on top, the others keep their order", () => {
  const sources = {
    ...nothing,
    acts: [item("Pause after nodes", { kind: "act" })],
    projects: [item("nodding donkeys")],
    pages: [item("Nodes")],
  };
  expect(groups(sources, "nodes").map((g) => g.title)).toEqual(["Pages", "Here", "Projects"]);
});

test("projects stay as the server ordered them, even those that it found by something else than the name", () => {
  const sources = { ...nothing, projects: [item("south"), item("north")] };
  expect(
    groups(sources, "pk3m8")
      .at(-1)
      ?.items.map((i) => i.title),
  ).toEqual(["south", "north"]);
});

test("the sheet has one line for two keys that do the same, and none for what has no key", () => {
  const act = () => undefined;
  expect(
    sheet([
      { where: "Projects", does: "Next", key: "j", act },
      { where: "Projects", does: "Next", key: "ArrowDown", act },
      { where: "This project", does: "Delete…", key: "", act },
      { where: "Everywhere", does: "All keys", key: "?", act },
    ]),
  ).toEqual([
    { where: "Projects", rows: [{ does: "Next", keys: ["j", "ArrowDown"] }] },
    { where: "Everywhere", rows: [{ does: "All keys", keys: ["?"] }] },
  ]);
});
