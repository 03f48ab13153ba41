import { expect, test } from "vitest";
import { reachable } from "@/shared/reachable.ts";

test("the server's own loopback leads nowhere from another machine", () => {
  expect(reachable("http://127.0.0.1:4646/ui", "winslow.example.org")).toBe(false);
  expect(reachable("http://[::1]:4646/ui", "winslow.example.org")).toBe(false);
  expect(reachable("http://127.0.0.1:4646/ui", "localhost")).toBe(true);
  expect(reachable("https://nomad.example.org/ui", "winslow.example.org")).toBe(true);
  expect(reachable("", "localhost")).toBe(false);
});
