import { expect, it } from "vitest";
import { toSend, written } from "@/features/settings/values.ts";

it("a setting with parts takes a line for each that is not empty", () => {
  expect(
    written({
      address: "http://127.0.0.1:4646",
      namespace: "",
      datacenters: ["*"],
      uid: -1,
      whole_cores: false,
    }),
  ).toBe("address: http://127.0.0.1:4646\ndatacenters: *\nuid: -1\nwhole_cores: false");
  expect([written([]), written({}), written(null), written("x"), written(0)]).toEqual(["", "", "", "x", "0"]);
});

it("what is no number is never sent as nothing, which would take the setting back", () => {
  expect(toSend("number", "7")).toBe(7);
  expect(toSend("number", "seven")).toBe("seven");
  expect(toSend("number", " ")).toBe(" ");
  expect(toSend("text", "7")).toBe("7");
});
