/** A log of millions of lines in an element that a browser can still scroll: above a limit the scroll bar stands for more
 *  pixels than it has. Pure arithmetic; all in CSS pixels. */

export const ROW = 18;
export const TALLEST = 8_000_000; // Firefox gives up near 17.9 million

export interface Geometry {
  /** of all lines */
  full: number;
  /** of the element that is scrolled */
  spacer: number;
  /** of the window */
  view: number;
}

export function geometry(total: number, view: number, pad: number): Geometry {
  const full = total * ROW + pad;
  return { full, spacer: Math.max(view, Math.min(full, TALLEST)), view };
}

/** How many pixels of the log one pixel of the scroll bar stands for. */
export function factor(g: Geometry): number {
  return g.spacer > g.view ? Math.max(1, (g.full - g.view) / (g.spacer - g.view)) : 1;
}

/** The highest place of the window's upper edge. */
export function lowest(g: Geometry): number {
  return Math.max(0, g.full - g.view);
}

export function clamp(top: number, g: Geometry): number {
  return Math.min(Math.max(0, top), lowest(g));
}

export function scrollTopOf(top: number, g: Geometry): number {
  return top / factor(g);
}

export function topOf(scrollTop: number, g: Geometry): number {
  return clamp(scrollTop * factor(g), g);
}
