import { expect, test } from "vitest";
import { kindOf, toggled, words } from "@/features/settings/told.ts";

test("what begins with http is a webhook, another scheme a chat service, the rest nothing yet", () => {
  expect(
    [
      "https://hooks.example.org/x",
      " HTTP://alder:9000/hook",
      "slack://a/b/c/#team",
      "ntfys://ntfy.example.org/winslow",
      "hooks.example.org",
      "slack://",
      "",
    ].map(kindOf),
  ).toEqual(["webhook", "webhook", "chat", "chat", "", "", ""]);
});

test("events keep the order of the list, however they were clicked", () => {
  expect(toggled(["failure"], "gate")).toEqual(["gate", "failure"]);
  expect(toggled(["gate", "failure"], "gate")).toEqual(["failure"]);
  expect(words(["failure", "gate"])).toBe("a question, a failure");
});
