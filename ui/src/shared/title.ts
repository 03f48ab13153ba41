/** The tab's title and picture show what waits, so that a tab in the background tells. */
import { useEffect } from "react";

/** "3 · Projects · Winslow": what waits for the person stands first. */
export function titleOf(page: string, waiting: number): string {
  return [waiting ? `(${waiting})` : "", page ? `${page} · Winslow` : "Winslow"].filter(Boolean).join(" ");
}

let page = "";
let waiting = 0;

function write(): void {
  document.title = titleOf(page, waiting);
}

export function useTitle(name: string): void {
  useEffect(() => {
    page = name;
    write();
  }, [name]);
}

const MARK = '<circle cx="18" cy="6" r="6" fill="#c27803" stroke="#fff" stroke-width="1.5"/>';

/** A dot on the favicon while something waits for the person. */
export function useWaiting(count: number): void {
  useEffect(() => {
    waiting = count;
    write();
    const link = document.getElementById("favicon") as HTMLLinkElement | null;
    if (!link) return;
    let current = true;
    void fetch("/favicon.svg")
      .then((answer) => answer.text())
      .then((svg) => {
        if (current)
          link.href = `data:image/svg+xml,${encodeURIComponent(svg.replace("</svg>", `${count ? MARK : ""}</svg>`))}`;
      })
      .catch(() => undefined);
    return () => {
      current = false;
    };
  }, [count]);
}
