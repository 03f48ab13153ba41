/** One project in the list: 52 px, two lines, everything that decides whether one has to look. */
import { Link } from "@tanstack/react-router";
import { memo } from "react";
import { clock, when } from "@/design/format.ts";
import { Avatar, Tag } from "@/design/parts.tsx";
import { StageStrip, StateTag } from "@/design/state.tsx";
import { useNow } from "@/design/time.tsx";
import { projectState } from "@/shared/look.ts";
import { Picture } from "@/shared/Picture.tsx";
import { useRow } from "./hooks.ts";
import { stateWord, stripOf, worked } from "./look.ts";
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
  if (!row) return null;
  const state = projectState(row);
  return (
    <div
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
        <Picture project={row.id} path={row.thumbnail} name={row.name} width={56} height={32} />
      </span>
      <span role="cell" className="c-name">
        <Link to="/projects/$project" params={{ project: row.id }} className="trunc" id={`row-${row.id}`}>
          {row.name}
        </Link>
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
          <StateTag state={state} word={`${stateWord(row, me)}${row.reason ? ":" : ""}`} />{" "}
          <span className="m2">{row.reason}</span>
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

function hardware(row: Row): string {
  const now = row.current;
  if (!now?.gpus) return "";
  const model = now.gpu_model ? ` ${now.gpu_model}` : "";
  return `${now.node ? "" : "asks for "}${now.gpus === 1 ? "1 GPU" : `${now.gpus} GPUs`}${model}`;
}
