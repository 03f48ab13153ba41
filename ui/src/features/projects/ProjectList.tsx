/** The rows in a window: however many there are, only those on screen are drawn. */
import { useMemo, useRef } from "react";
import { count } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { colour, type State, WORDS } from "@/design/state.tsx";
import { useNarrow } from "@/shared/narrow.ts";
import type { Group, Item, Sort } from "./order.ts";
import { ProjectRow } from "./ProjectRow.tsx";
import { rows } from "./rows.ts";
import { tops, useShown, useWindow } from "./window.ts";

const HEADS: { name: string; sort?: Sort; word: string }[] = [
  { name: "c-picture", word: "" },
  { name: "c-name", word: "Project", sort: "name" },
  { name: "c-strip", word: "Stages" },
  { name: "c-now", word: "Now", sort: "state" },
  { name: "c-node", word: "Node" },
  { name: "c-time", word: "Time, end", sort: "updated" },
  { name: "c-by", word: "By" },
];

export interface ListProps {
  items: Item[];
  total: number;
  me: string;
  sort: Sort;
  onSort: (sort: Sort) => void;
  selected: ReadonlySet<string>;
  onSelect: (id: string, on: boolean, range: boolean) => void;
  onSelectAll: (on: boolean) => void;
  onTag: (tag: string, not: boolean) => void;
  onToggle: (group: string) => void;
  current: number;
}

export function ProjectList(props: ListProps) {
  const { items, total, me, sort, onSort, selected, onSelect, onSelectAll, onTag, onToggle, current } = props;
  const box = useRef<HTMLDivElement>(null);
  const tall = useNarrow() ? 96 : 52; // as in the style sheet
  const starts = useMemo(
    () =>
      tops(
        items.map((item) => heightOf(item, tall)),
        items.length,
      ),
    [items, tall],
  );
  const { first, last, pool } = useWindow(box, starts);
  useShown(box, starts, current);
  return (
    <div
      className="p-list"
      role="table"
      aria-label="Projects"
      aria-rowcount={items.length + 1}
      onPointerEnter={() => rows.hold(true)}
      onPointerLeave={() => rows.hold(false)}
    >
      <div role="row" className="p-head" aria-rowindex={1}>
        <span role="columnheader" className="c-check">
          <input
            type="checkbox"
            aria-label={`Select all ${count(total)}`}
            checked={total > 0 && selected.size >= total}
            onChange={(event) => onSelectAll(event.target.checked)}
          />
        </span>
        {HEADS.map((head) => (
          <span
            key={head.name}
            role="columnheader"
            className={head.name}
            aria-sort={head.sort === sort ? "descending" : undefined}
          >
            {head.sort ? (
              <button type="button" onClick={() => onSort(head.sort as Sort)}>
                {head.word}
                {head.sort === sort ? <Icon name="cd" /> : null}
              </button>
            ) : (
              head.word || <span className="vh">Picture</span>
            )}
          </span>
        ))}
      </div>
      <div ref={box} className="p-body" role="rowgroup">
        <div style={{ height: starts[items.length], position: "relative" }}>
          {items.slice(first, last).map((item, n) => {
            const index = first + n;
            const top = starts[index] ?? 0;
            if (item.kind === "group") {
              const { group, open } = item;
              return (
                <GroupRow key={`g:${group.name}`} group={group} open={open} top={top} onToggle={onToggle} />
              );
            }
            return (
              <ProjectRow
                key={index % pool}
                id={item.id}
                index={index}
                top={top}
                me={me}
                selected={selected.has(item.id)}
                current={index === current}
                onSelect={onSelect}
                onTag={onTag}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

function heightOf(item: Item, row: number): number {
  return item.kind === "group" ? 40 : row;
}

function GroupRow({
  group,
  open,
  top,
  onToggle,
}: {
  group: Group;
  open: boolean;
  top: number;
  onToggle: (name: string) => void;
}) {
  const words = group.states.map(([state, n]) => `${count(n)} ${WORDS[state as State] ?? state}`).join(", ");
  return (
    <div role="row" className="p-group" style={{ transform: `translateY(${top}px)` }}>
      <span role="cell">
        <button type="button" aria-expanded={open} onClick={() => onToggle(group.name)}>
          <Icon name={open ? "cd" : "cr"} />
          <b>{group.name}</b>
        </button>
        <span className="m3">{count(group.rows.length)}</span>
        <span className="mix" aria-hidden="true">
          {group.states.map(([state, n]) => (
            <i key={state} data-s={colour(state as State)} style={{ flex: n }} />
          ))}
        </span>
        <span className="m2 small">{words}</span>
      </span>
    </div>
  );
}
