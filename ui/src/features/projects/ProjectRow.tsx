/** One project in the list: 52 px, two lines, everything that decides whether one has to look. */
import { useRouter } from "@tanstack/react-router";
import { type MouseEvent, memo, useLayoutEffect, useRef } from "react";
import { clock, when } from "@/design/format.ts";
import { Avatar, Tag } from "@/design/parts.tsx";
import { StageStrip, StateTag } from "@/design/state.tsx";
import { useNow } from "@/design/time.tsx";
import { Picture } from "@/shared/Picture.tsx";
import { useRow } from "./hooks.ts";
import { nowOf, stripOf, worked } from "./look.ts";
import type { Row } from "./rows.ts";

interface Props {
  id: string;
  index: number;
  top: number;
  me: string;
  selected: boolean;
  current: boolean;
  onSelect: (id: string, on: boolean, range: boolean) => void;
  onTag: (tag: string, not: boolean) => void;
}

export const ProjectRow = memo(function ProjectRow(props: Props) {
  const { id, index, top, me, selected, current, onSelect, onTag } = props;
  const row = useRow(id);
  const now = useNow();
  const element = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another project is drawn here from now on, and what is typed is not meant for it
  useLayoutEffect(
    () => () => {
      const focused = document.activeElement;
      if (focused instanceof HTMLElement && element.current?.contains(focused)) focused.blur();
    },
    [id],
  );
  if (!row) return null;
  const { state, word, reason } = nowOf(row, me);
  return (
    <div
      ref={element}
      role="row"
      className="p-row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      data-current={current || undefined}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span role="cell" className="c-check">
        <input
          type="checkbox"
          aria-label={`Select ${row.name}`}
          checked={selected}
          onChange={() => undefined}
          onClick={(event) => onSelect(id, !selected, event.shiftKey)}
        />
      </span>
      <span role="cell" className="c-picture">
        <Picture
          key={row.thumbnail && `${row.id}/${row.thumbnail}`}
          project={row.id}
          path={row.thumbnail}
          name={row.name}
          width={56}
          height={32}
        />
      </span>
      <span role="cell" className="c-name">
        <NameLink id={row.id} name={row.name} />
        <span className="tags">
          <Tag>
            {row.pipeline}
            {row.pipeline_version ? `@${row.pipeline_version}` : ""}
          </Tag>
          {row.tags.map((tag) => (
            <button
              key={tag}
              type="button"
              className="tag"
              title={`Only ${tag}; with Shift: without it`}
              onClick={(event) => onTag(tag, event.shiftKey)}
            >
              {tag}
            </button>
          ))}
        </span>
      </span>
      <span role="cell" className="c-strip">
        <StageStrip stages={stripOf(row)} />
      </span>
      <span role="cell" className="c-now">
        <p>
          <StateTag state={state} word={word} /> <span className="m2">{reason}</span>
        </p>
      </span>
      <span role="cell" className="c-node">
        <b>{row.current?.node || "–"}</b>
        <span>{hardware(row)}</span>
      </span>
      <span role="cell" className="c-time">
        <b>{worked(row, now)}</b>
        <span>
          {row.expected
            ? `ends about ${clock(Date.parse(row.expected), now)}`
            : when(Date.parse(row.updated), now)}
        </span>
      </span>
      <span role="cell" className="c-by">
        <Avatar name={row.author || "?"} me={row.author === me} />
      </span>
    </div>
  );
});

/** Every row has one, and is drawn anew while one scrolls: the router's own link would work out a whole address each time. */
function NameLink({ id, name }: { id: string; name: string }) {
  const router = useRouter();
  const to = { to: "/projects/$project", params: { project: id } } as const;
  const go = (event: MouseEvent) => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void router.navigate(to);
  };
  const soon = () => void router.preloadRoute(to).catch(() => undefined);
  return (
    <a href={`/projects/${id}`} className="trunc" onClick={go} onPointerEnter={soon} onFocus={soon}>
      {name}
    </a>
  );
}

function hardware(row: Row): string {
  const now = row.current;
  if (!now?.gpus) return "";
  const model = now.gpu_model ? ` ${now.gpu_model}` : "";
  return `${now.node ? "" : "asks for "}${now.gpus === 1 ? "1 GPU" : `${now.gpus} GPUs`}${model}`;
}
