import { QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";
import { type Typing, useDraft } from "@/shared/drafts.ts";
import { queries } from "@/shared/queries.ts";

let typing: Typing;

function Desk({ what, text }: { what: string; text: string }) {
  typing = useDraft(what, { text, mark: 1 });
  return <p>{typing.text}</p>;
}

const page = (what: string, text: string) => (
  <QueryClientProvider client={queries}>
    <Desk what={what} text={text} />
  </QueryClientProvider>
);

beforeEach(() => {
  localStorage.clear();
  queries.setQueryData(["session"], { user: "ada" });
});

test("another text on the same desk has a draft of its own", () => {
  const { rerender } = render(page("pipeline.a", "name: a"));
  act(() => typing.type("name: a, and more"));
  rerender(page("pipeline.b", "name: b"));
  expect(screen.getByText("name: b")).toBeTruthy();
  act(() => typing.type("name: b, too"));
  rerender(page("pipeline.a", "name: a"));
  expect(screen.getByText("name: a, and more")).toBeTruthy();
  rerender(page("pipeline.b", "name: b"));
  expect(screen.getByText("name: b, too")).toBeTruthy();
});

test("what ends while one types on keeps what was typed meanwhile", () => {
  const { rerender } = render(page("pipeline.a", "name: a"));
  act(() => typing.type("name: ab"));
  const { saved } = typing;
  act(() => typing.type("name: abc"));
  act(() => saved("name: ab"));
  rerender(page("pipeline.a", "name: ab"));
  expect(screen.getByText("name: abc")).toBeTruthy();
  expect(typing.clash).toBe(false);
});
