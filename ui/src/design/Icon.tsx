/** Icons of one hand, from one file that the browser keeps. An icon never stands without a word, except for close, more, full screen and zoom. */
import sprite from "./sprite.svg?url&no-inline";

export type IconName =
  | "ad"
  | "al"
  | "ar"
  | "bell"
  | "cd"
  | "chart"
  | "check"
  | "clock"
  | "cols"
  | "comment"
  | "copy"
  | "cr"
  | "csv"
  | "cu"
  | "down"
  | "edit"
  | "external"
  | "eye"
  | "file"
  | "filter"
  | "folder"
  | "full"
  | "gpu"
  | "group"
  | "image"
  | "info"
  | "key"
  | "kill"
  | "link"
  | "lock"
  | "menu"
  | "moon"
  | "more"
  | "nodes"
  | "pause"
  | "pipelines"
  | "play"
  | "plus"
  | "projects"
  | "redo"
  | "resources"
  | "search"
  | "settings"
  | "skip"
  | "star"
  | "stats"
  | "stop"
  | "sun"
  | "table"
  | "tag"
  | "terminal"
  | "transfer"
  | "trash"
  | "up"
  | "user"
  | "video"
  | "warn"
  | "wrap"
  | "x";

export type MarkName =
  | "cutoff"
  | "down"
  | "draining"
  | "failed"
  | "gate"
  | "idle"
  | "none"
  | "passed"
  | "paused"
  | "preparing"
  | "queued"
  | "ready"
  | "running"
  | "skipped"
  | "stopped"
  | "submitted"
  | "succeeded"
  | "waiting";

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="i" width="16" height="16" aria-hidden="true" focusable="false">
      <use href={`${sprite}#i-${name}`} />
    </svg>
  );
}

/** The shape of a state. The word beside it says the same. */
export function Mark({ name, label }: { name: MarkName; label?: string }) {
  return (
    <svg
      className="s"
      width="14"
      height="14"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
      focusable="false"
    >
      <use href={`${sprite}#s-${name}`} />
    </svg>
  );
}
