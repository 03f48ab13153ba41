import { expect, test } from "vitest";
import { asksFor, whyNot } from "@/shared/impossible.ts";

const GIB = 2 ** 30;

test("what a stage asks for and why no node has it is said in words, and once", () => {
  expect(asksFor({ cpu: 64, memory: 512 * GIB, gpu: { count: 2, memory: 40 * GIB, model: "RTX*" } })).toBe(
    "64 cores, 512 GiB of memory and 2 GPUs (RTX*) with 40 GiB each",
  );
  expect(asksFor({ cpu: 1, memory: 2 * GIB, gpu: null })).toBe("1 core and 2 GiB of memory");
  expect(whyNot("0001-train cannot start: no node has a GPU")).toBe("No node has a GPU.");
  expect(whyNot("the image is not there.")).toBe("The image is not there.");
});
