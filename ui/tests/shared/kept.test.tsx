import { QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { beforeEach, expect, test } from "vitest";
import { kept, useKept } from "@/shared/kept.ts";
import { queries } from "@/shared/queries.ts";

beforeEach(() => {
  sessionStorage.clear();
  queries.setQueryData(["session"], { user: "ada" });
});

const wrapper = ({ children }: { children: ReactNode }) => (
  <QueryClientProvider client={queries}>{children}</QueryClientProvider>
);
const opened = () => renderHook(() => useKept("form", () => ({ name: "" })), { wrapper }).result;

test("a form is there again as it was left, with what a newer page has besides; what cannot be read is nothing", () => {
  const fresh = { values: {}, comment: "", pauseAfter: false };
  expect(kept('{"values":{"AREA":"3"},"comment":"why"}', fresh)).toEqual({
    values: { AREA: "3" },
    comment: "why",
    pauseAfter: false,
  });
  for (const text of [null, "", "{", "3", "[1]", "null"]) expect(kept(text, fresh)).toBeNull();
});

test("a form that was left is found as such, and begun anew it is as at first, for good", () => {
  const first = opened();
  act(() => first.current.put({ name: "tunnel" }));
  const again = opened();
  expect(again.current).toMatchObject({ found: true, value: { name: "tunnel" } });
  act(() => again.current.anew());
  expect(again.current).toMatchObject({ found: false, value: { name: "" } });
  expect(opened().current.found).toBe(false);
});

test("a form that was sent is not there again, not even by what comes late, as an upload that ends", () => {
  const form = opened();
  act(() => form.current.put({ name: "tunnel" }));
  act(() => form.current.done());
  act(() => form.current.put({ name: "late" }));
  expect(opened().current.found).toBe(false);
});
