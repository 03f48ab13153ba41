import { expect, test } from "vitest";
import { orderOf, pressed, sortOf } from "@/features/files/order.ts";

test("a head that is pressed twice reverses the order, and three times restores it", () => {
  expect(pressed("name", "size")).toBe("size");
  expect(pressed("size", "size")).toBe("-size");
  expect(pressed("-size", "size")).toBe("size");
  expect(pressed("-size", "name")).toBe("name");
});

test("only the column that orders says so", () => {
  expect(sortOf("-modified", "modified")).toBe("descending");
  expect(sortOf("modified", "modified")).toBe("ascending");
  expect(sortOf("-modified", "name")).toBeUndefined();
});

test("an address that names no order is by name", () => {
  expect(orderOf("-size")).toBe("-size");
  for (const wrong of ["colour", "--size", "", undefined, 3]) expect(orderOf(wrong)).toBe("name");
});
