/** The window on a log: rows of 18 px, placed by arithmetic, so that the last of two million lines is as near as the first. */
import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { count } from "@/design/format.ts";
import { Button } from "@/design/parts.tsx";
import { groups, type Marking, marked, pieces, plain, ranges } from "./marks.ts";
import { clamp, factor, geometry, lowest, ROW, scrollTopOf, topOf } from "./scale.ts";
import type { Line, LogStore } from "./store.ts";

const PAD = 12;
const OVERSCAN = 6;
const time = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

export interface LogViewProps {
  store: LogStore;
  follow: boolean;
  onFollow: (on: boolean) => void;
  /** Place to be shown in the middle; a new object moves there again. */
  goal?: { place: number } | null;
  pinned?: number | null;
  onPin?: (line: Line) => void;
  hits?: RegExp | null;
  highlights?: readonly Marking[];
  times?: boolean;
  empty?: ReactNode;
  onRange?: (first: number, last: number) => void;
}

export function LogView(props: LogViewProps) {
  const { store, follow, onFollow, goal, pinned, onPin, hits, highlights, times = true, onRange } = props;
  useSyncExternalStore(store.watch, store.snapshot);
  const box = useRef<HTMLDivElement>(null);
  const own = useRef(-1); // scroll position that we set ourselves
  const [view, setView] = useState(600);
  const [top, setTop] = useState(0);
  const [seen, setSeen] = useState(0); // length of the log when following ended
  const g = useMemo(() => geometry(store.total, view, PAD), [store.total, view]);
  const shown = follow ? lowest(g) : clamp(top, g);

  const move = useCallback(
    (to: number, g2 = g) => {
      const next = clamp(to, g2);
      setTop(next);
      if (box.current) {
        box.current.scrollTop = scrollTopOf(next, g2);
        own.current = box.current.scrollTop;
      }
    },
    [g],
  );

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setView(element.clientHeight || 600));
    observer.observe(element);
    setView(element.clientHeight || 600);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (follow) move(lowest(g));
  }, [follow, g, move]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a goal is gone to once, when it is set or when its lines exist
  useLayoutEffect(() => {
    if (goal && store.ready) move(goal.place * ROW - view / 2 + ROW);
  }, [goal, store.ready]);

  const leave = useCallback(() => {
    setSeen(store.total);
    onFollow(false);
  }, [onFollow, store]);

  const by = useCallback(
    (pixels: number) => {
      const from = follow ? lowest(g) : clamp(top, g);
      if (pixels < 0 && follow) leave();
      if (pixels > 0 && !follow && from + pixels >= lowest(g) && !store.ended && store.total) onFollow(true);
      move(from + pixels);
    },
    [follow, g, leave, move, onFollow, store, top],
  );

  // a listener that may refuse the browser's own scrolling cannot be given through React
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const turned = (event: WheelEvent) => {
      if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
      if (factor(g) === 1 && !follow) return;
      event.preventDefault();
      by(
        event.deltaMode === 1
          ? event.deltaY * ROW
          : event.deltaMode === 2
            ? event.deltaY * view
            : event.deltaY,
      );
    };
    element.addEventListener("wheel", turned, { passive: false });
    return () => element.removeEventListener("wheel", turned);
  }, [by, follow, g, view]);

  const scrolled = () => {
    const at = box.current?.scrollTop ?? 0;
    if (Math.abs(at - own.current) < 1) return;
    own.current = at;
    const next = topOf(at, g);
    if (follow && next < lowest(g) - ROW) leave();
    setTop(next);
  };

  const keyed = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowDown: ROW,
      ArrowUp: -ROW,
      PageDown: view - 2 * ROW,
      PageUp: 2 * ROW - view,
      Home: -g.full,
    };
    if (event.key === "End") {
      move(lowest(g));
      if (!store.ended) onFollow(true);
    } else if (event.key in steps) by(steps[event.key] as number);
    else return;
    event.preventDefault();
  };

  const first = Math.max(0, Math.floor((shown - PAD / 2) / ROW) - OVERSCAN);
  const last = Math.min(store.total - 1, Math.ceil((shown + view) / ROW) + OVERSCAN);
  useEffect(() => {
    store.look(first, Math.max(first, last));
    onRange?.(
      Math.max(0, Math.floor(shown / ROW)),
      Math.max(0, Math.min(store.total, Math.ceil((shown + view) / ROW)) - 1),
    );
  });

  const rows: ReactNode[] = [];
  const pool = Math.ceil(view / ROW) + 2 * OVERSCAN + 2;
  for (let place = first; place <= last; place += 1) {
    const line = store.at(place);
    rows.push(
      <Row
        key={place % pool}
        line={line}
        offset={place * ROW - shown + PAD / 2}
        pinned={line !== undefined && line.n === pinned}
        onPin={onPin}
        hits={hits}
        highlights={highlights}
        times={times}
      />,
    );
  }
  const fresh = store.total - seen;
  return (
    <div className="log-window">
      <div
        ref={box}
        className="log"
        role="log"
        aria-live="off"
        aria-label="Log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard
        tabIndex={0}
        onScroll={scrolled}
        onKeyDown={keyed}
      >
        <div className="log-rows">{rows}</div>
        <div style={{ height: g.spacer }} />
      </div>
      {store.ready && !store.total ? (
        <div className="log-empty">{props.empty ?? "Nothing was written."}</div>
      ) : null}
      {!follow && store.ready && !store.ended ? (
        <Button className="follow" icon="ad" hotkey="f" onClick={() => onFollow(true)}>
          {fresh > 0 && seen > 0 ? `Follow, ${count(fresh)} new lines` : "Follow"}
        </Button>
      ) : null}
    </div>
  );
}

interface RowProps {
  line: Line | undefined;
  offset: number;
  pinned: boolean;
  onPin?: ((line: Line) => void) | undefined;
  hits?: RegExp | null | undefined;
  highlights?: readonly Marking[] | undefined;
  times: boolean;
}

const Row = memo(function Row({ line, offset, pinned, onPin, hits, highlights, times }: RowProps) {
  const style = { transform: `translateY(${offset}px)` };
  if (!line) return <div className="log-line" style={style} />;
  const text = plain(line.text);
  let parts = pieces(line.text);
  for (const { regex, names } of highlights ?? []) {
    parts = marked(parts, ranges(text, regex), names);
    parts = marked(parts, groups(text, regex), "group");
  }
  parts = marked(parts, ranges(text, hits ?? null), "hit");
  const names = ["log-line", line.stream === "err" ? "e" : "", pinned ? "pin" : ""].filter(Boolean).join(" ");
  return (
    <div className={names} style={style}>
      <a
        href={`?line=${line.n + 1}`}
        tabIndex={-1} // thousands of stops would bar the way of the Tab key
        onClick={(event) => {
          event.preventDefault();
          onPin?.(line);
        }}
      >
        {count(line.n + 1)}
      </a>
      <i>{line.stream === "err" ? "err" : ""}</i>
      {times ? <time>{line.at ? time.format(new Date(line.at)) : ""}</time> : null}
      <span>
        {parts.map((part, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of one line have no other identity
          <span key={at} className={part.names || undefined}>
            {part.text}
          </span>
        ))}
        {line.more_bytes ? <em>{` … and ${count(line.more_bytes)} bytes`}</em> : null}
      </span>
    </div>
  );
});
