/** The few parts that most screens share. What floats or traps focus (dialogs, menus, lists of choices) is Mantine's. */
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { initials } from "./format.ts";
import { Icon, type IconName } from "./Icon.tsx";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "plain" | "primary" | "ghost" | "danger" | "danger solid";
  small?: boolean;
  icon?: IconName;
  /** Key that does the same, shown on the button. */
  hotkey?: string;
  busy?: boolean;
}

export function Button({
  look = "plain",
  small,
  icon,
  hotkey,
  busy,
  children,
  className,
  ...rest
}: ButtonProps) {
  const names = [
    "btn",
    look === "plain" ? "" : look,
    small ? "sm" : "",
    children ? "" : "icon",
    className ?? "",
  ];
  return (
    <button
      type="button"
      {...rest}
      className={names.filter(Boolean).join(" ")}
      disabled={rest.disabled || busy}
      aria-busy={busy}
    >
      {icon ? <Icon name={icon} /> : null}
      {children}
      {hotkey ? <kbd>{hotkey}</kbd> : null}
    </button>
  );
}

export function Panel({
  title,
  about,
  actions,
  children,
  className,
}: {
  title?: ReactNode;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
}) {
  return (
    <section className={`panel ${className ?? ""}`}>
      {title ? (
        <header>
          <h2>{title}</h2>
          {about ? <span className="small m2">{about}</span> : null}
          <span className="grow" />
          {actions}
        </header>
      ) : null}
      <div className="body">{children}</div>
    </section>
  );
}

export function Note({
  kind = "plain",
  icon = "info",
  children,
  action,
}: {
  kind?: "plain" | "ask" | "bad" | "acc";
  icon?: IconName;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={kind === "plain" ? "note" : `note ${kind}`} role="status">
      <Icon name={icon} />
      <div className="grow">{children}</div>
      {action}
    </div>
  );
}

/** Nothing to show, why, and the next step. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="empty">
      <Icon name={icon} />
      <h3>{title}</h3>
      {children ? <p className="m2">{children}</p> : null}
      {action}
    </div>
  );
}

/** Grey bars in the geometry of what comes; shown only when it takes longer than 200 ms. */
export function Skeleton({ rows = 6, height = 52 }: { rows?: number; height?: number }) {
  return (
    <div className="skeleton" aria-hidden="true">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike and never move
        <div key={row} className="skeleton-row" style={{ height }}>
          <i style={{ width: 56 }} />
          <i style={{ width: "22%" }} />
          <i style={{ width: "34%" }} />
          <i style={{ width: "12%" }} />
        </div>
      ))}
    </div>
  );
}

export function Avatar({ name, me }: { name: string; me?: boolean }) {
  return (
    <span className={me ? "av me" : "av"} title={name}>
      {initials(name)}
    </span>
  );
}

/** A limited thing and how much of it is used; ends at the limit. */
export function Bar({
  used,
  of,
  kind = "",
}: {
  used: number;
  of: number;
  kind?: "" | "rest" | "ok" | "ask";
}) {
  const part = of > 0 ? Math.min(100, (100 * used) / of) : 0;
  return (
    <span className={`bar ${kind}`}>
      <i style={{ width: `${part}%` }} />
    </span>
  );
}

export function Tag({
  children,
  kind = "",
}: {
  children: ReactNode;
  kind?: "" | "line" | "acc" | "ok" | "ask" | "bad";
}) {
  return <span className={`tag ${kind}`}>{children}</span>;
}
