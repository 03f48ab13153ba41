import { expect, test } from "vitest";
import { added, nameOf } from "@/features/project/participants.ts";

const KNOWN = ["@everyone", "@lab", "ada", "mem", "grace"];
const MEMBERS = [{ user: "mem", role: "member" as const }];

test("a person or a group that exists is added with the role", () => {
  expect(added(MEMBERS, " Grace ", "viewer", "ada", KNOWN).members).toEqual([
    ...MEMBERS,
    { user: "grace", role: "viewer" },
  ]);
  expect(added(MEMBERS, "@lab", "member", "ada", KNOWN).wrong).toBe("");
});

test("the author, who takes part already, and who does not exist are refused in words", () => {
  expect(added(MEMBERS, "ada", "viewer", "ada", KNOWN).wrong).toContain("author");
  expect(added(MEMBERS, "mem", "viewer", "ada", KNOWN).wrong).toContain("takes part already");
  expect(added(MEMBERS, "@labs", "viewer", "ada", KNOWN).wrong).toBe("There is no group labs.");
  expect(added(MEMBERS, "graze", "viewer", "ada", KNOWN).members).toBe(MEMBERS);
});

test("as long as it is not known who there is, the server says who is not", () => {
  expect(added(MEMBERS, "graze", "viewer", "ada", ["@everyone"]).wrong).toBe("");
  expect(nameOf("@everyone")).toBe("Everybody here");
});
