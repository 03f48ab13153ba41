/** The tab's title and picture show what waits, and how the project on the page stands, so that a tab in the background tells.
 *  Nothing of it moves. */
import { useEffect } from "react";

const SIGNS: Record<string, string> = {
  running: "▶",
  waiting: "?",
  failed: "✕",
  "paused-failure": "✕",
  succeeded: "✓",
};

/** "(3) ▶ Neckartor · Winslow": what waits for the person stands first. */
export function titleOf(page: string, waiting: number, state = ""): string {
  const named = [SIGNS[state], page].filter(Boolean).join(" ");
  return [waiting ? `(${waiting})` : "", named ? `${named} · Winslow` : "Winslow"].filter(Boolean).join(" ");
}

let page = "";
let state = "";
let waiting = 0;
let drawn = "";
let plain: Promise<string> | undefined;

/** The mark on the picture: what broke or runs in the project on the page, else whether something waits. */
export function markOf(of: string, count: number): string {
  const dot = (colour: string, inside = "") =>
    `<circle cx="17.500" cy="6.500" r="6.500" fill="${colour}" stroke="#fff" stroke-width="1.500"/>${inside}`;
  if (of === "failed" || of === "paused-failure")
    return dot("#d92d20", '<path d="m15 4 5 5m0-5-5 5" stroke="#fff" stroke-width="1.800"/>');
  if (of === "waiting" || count) return dot("#c27803");
  if (of === "running") return dot("#1c7ed6", '<path d="M17.500 2.500a4 4 0 0 1 0 8z" fill="#fff"/>');
  return "";
}

function write(): void {
  document.title = titleOf(page, waiting, state);
  const mark = markOf(state, waiting);
  const link = document.getElementById("favicon") as HTMLLinkElement | null;
  if (!link || mark === drawn) return;
  drawn = mark;
  plain ??= fetch("/favicon.svg").then((answer) => answer.text());
  plain.then(
    (svg) => {
      if (mark === drawn)
        link.href = `data:image/svg+xml,${encodeURIComponent(svg.replace("</svg>", `${mark}</svg>`))}`;
    },
    () => {
      plain = undefined; // another time
      drawn = "";
    },
  );
}

/** `of`: the state of the project that the page is about. */
export function useTitle(name: string, of = ""): void {
  useEffect(() => {
    page = name;
    state = of;
    write();
    return () => {
      state = "";
      write();
    };
  }, [name, of]);
}

/** A dot on the favicon while something waits for the person. */
export function useWaiting(count: number): void {
  useEffect(() => {
    waiting = count;
    write();
  }, [count]);
}
