/** Which items of a long list are drawn: those on screen, and some on either side. Pure, but for the hook. */
import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";

const AROUND = 6; // items beyond either edge
const STEP = 4; // the window moves by so many items at once

/** Where each item begins, and where the last one ends. */
export function tops(heights: Iterable<number>, count: number): Float64Array {
  const found = new Float64Array(count + 1);
  let at = 0;
  let top = 0;
  for (const height of heights) {
    found[at++] = top;
    top += height;
  }
  found[count] = top;
  return found;
}

/** The item that holds the place `y`. */
export function itemAt(starts: Float64Array, y: number): number {
  let low = 0;
  let high = Math.max(0, starts.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** From the first up to, not with, the last that is drawn. It changes only every few items, so that scrolling is mostly free. */
export function drawn(starts: Float64Array, top: number, view: number): [number, number] {
  const count = starts.length - 1;
  const first = Math.floor((itemAt(starts, top) - AROUND) / STEP) * STEP;
  const last = Math.ceil((itemAt(starts, top + view) + 1 + AROUND) / STEP) * STEP;
  return [Math.max(0, first), Math.min(count, last)];
}

/** The window of a box that scrolls over items with these places. `pool`: no more than so many are drawn at once, and item n can
 *  be drawn by what drew item n - pool: elements that stay cost a tenth of ones that are made. */
export function useWindow(box: RefObject<HTMLElement | null>, starts: Float64Array) {
  const [[first, last], setRange] = useState<readonly [number, number]>([0, 0]);
  const pool = useRef(1);
  const shown = useRef<readonly [number, number]>([0, 0]);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = (set: (go: () => void) => void) => {
      const next = drawn(starts, element.scrollTop, element.clientHeight);
      if (next[0] === shown.current[0] && next[1] === shown.current[1]) return;
      shown.current = next;
      set(() => setRange(next));
    };
    const scrolled = () => look(flushSync); // in the frame that is being made, not in the one after it
    const soon = () => look((go) => go());
    const observer = new ResizeObserver(soon);
    soon();
    observer.observe(element);
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", scrolled);
    };
  }, [box, starts]);
  pool.current = Math.max(pool.current, last - first);
  return { first, last: Math.min(last, starts.length - 1), pool: pool.current };
}

/** Scrolls as little as shows the item whole, when another item is meant. */
export function useShown(box: RefObject<HTMLElement | null>, starts: Float64Array, item: number): void {
  const latest = useRef(starts);
  latest.current = starts;
  useEffect(() => {
    const element = box.current;
    const [start, end] = [latest.current[item], latest.current[item + 1]];
    if (!element || start === undefined || end === undefined) return;
    if (start < element.scrollTop) element.scrollTop = start;
    else if (end > element.scrollTop + element.clientHeight) element.scrollTop = end - element.clientHeight;
  }, [box, item]);
}
