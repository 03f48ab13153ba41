import { expect, test } from "vitest";
import { given, inRail, searchOf } from "@/shared/views.ts";

test("the rail leads to what is mine, to what failed today and to one's own views, which may take over a name", () => {
  const own = { name: "Tunnels", q: "tag:tunnel", group: "", sort: "name" };
  expect(inRail("ada", [own]).map((view) => view.name)).toEqual(["Mine", "Failed today", "Tunnels"]);
  expect(inRail("ada", [])[0]?.q).toBe("author:ada");
  const mine = { ...own, name: "Mine" };
  expect(inRail("ada", [mine])).toEqual([given("ada")[2], mine]);
});

test("an address says of a view only what is not as always, so that the same view is the same address", () => {
  expect(searchOf({ q: "author:ada", group: "", sort: "updated" })).toEqual({ q: "author:ada" });
  expect(searchOf({ q: "", group: "tag", sort: "name" })).toEqual({ group: "tag", sort: "name" });
  expect(searchOf({})).toEqual({});
});
