import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { type Act, listed, useKeys, useKeysWanted } from "@/shared/keys.ts";

function Layer({ where, acts, depth }: { where: string; acts: Record<string, Act>; depth?: 0 | 1 | 2 }) {
  useKeys(where, acts, depth);
  return null;
}
const press = (key: string, more: KeyboardEventInit = {}, on: Element | Document = document) =>
  fireEvent.keyDown(on, { key, bubbles: true, cancelable: true, ...more });

beforeEach(() => useKeysWanted.setState({ on: true }));

test("two keys one after the other are one, and the second does nothing else, even on a page that has it alone", () => {
  const [places, make] = [vi.fn(), vi.fn()];
  render(
    <>
      <Layer where="Everywhere" acts={{ "g n": { does: "Nodes", act: places } }} />
      <Layer where="Projects" acts={{ n: { does: "New project", act: make } }} />
    </>,
  );
  press("g");
  press("n");
  expect(places).toHaveBeenCalledOnce();
  expect(make).not.toHaveBeenCalled();
  press("n");
  expect(make).toHaveBeenCalledOnce();
});

test("what was mounted last goes first, and is gone with its page", () => {
  const [page, all] = [vi.fn(), vi.fn()];
  const acts = (act: () => void) => ({ e: { does: "Do", act } });
  const { rerender } = render(
    <>
      <Layer where="Everywhere" acts={acts(all)} />
      <Layer where="Page" acts={acts(page)} />
    </>,
  );
  press("e");
  expect([page.mock.calls.length, all.mock.calls.length]).toEqual([1, 0]);
  expect(listed().map((each) => each.where)).toEqual(["Page"]);
  rerender(<Layer where="Everywhere" acts={acts(all)} />);
  press("e");
  expect([page.mock.calls.length, all.mock.calls.length]).toEqual([1, 1]);
});

test("in a field and when turned off only keys with Ctrl count", () => {
  const [single, control] = [vi.fn(), vi.fn()];
  render(
    <>
      <input aria-label="name" />
      <Layer
        where="Page"
        acts={{ k: { does: "Up", act: single }, "Ctrl k": { does: "All", act: control } }}
      />
    </>,
  );
  press("k", {}, screen.getByLabelText("name"));
  useKeysWanted.setState({ on: false });
  press("k");
  expect(single).not.toHaveBeenCalled();
  press("k", { ctrlKey: true }, screen.getByLabelText("name"));
  press("K", { metaKey: true });
  expect(control).toHaveBeenCalledTimes(2);
});

test("Enter on a button is the button's", () => {
  const open = vi.fn();
  render(
    <>
      <button type="button">New</button>
      <Layer where="Page" acts={{ Enter: { does: "Open", act: open } }} />
    </>,
  );
  expect(press("Enter", {}, screen.getByText("New"))).toBe(true); // not taken from it
  expect(open).not.toHaveBeenCalled();
  press("Enter");
  expect(open).toHaveBeenCalledOnce();
});

test("under a dialog the page rests", () => {
  const act = vi.fn();
  render(
    <>
      <div role="dialog" aria-label="asking" />
      <Layer where="Page" acts={{ x: { does: "Do", act }, "Ctrl k": { does: "All", act } }} />
    </>,
  );
  press("x");
  press("k", { ctrlKey: true });
  expect(act).not.toHaveBeenCalled();
});

test("a page goes before its frame, though the frame is mounted after what stands in it", () => {
  const [page, frame] = [vi.fn(), vi.fn()];
  render(
    <>
      <Layer where="Page" acts={{ e: { does: "Do", act: page } }} />
      <Layer where="Frame" depth={0} acts={{ e: { does: "Do", act: frame } }} />
    </>,
  );
  press("e");
  expect([page.mock.calls.length, frame.mock.calls.length]).toEqual([1, 0]);
});
