/** What is on its way, at the lower right of every page. */
import { bytes, duration, percent, plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { Bar, Button } from "@/design/parts.tsx";
import { alive, drop, pause, resume, settle, type Transfer, total, useTransfers } from "./transfers.ts";
import "./transfers.css";

export function TransfersButton() {
  const { items, open, setOpen } = useTransfers();
  if (!items.length) return null;
  const moving = alive(items);
  return (
    <Button
      look="ghost"
      small
      icon="transfer"
      aria-expanded={open}
      onClick={() => setOpen(!open)}
      title="Transfers"
    >
      {moving.length ? `${moving.length} · ${percent(total(items).percent)}` : "done"}
    </Button>
  );
}

export function TransfersTray() {
  const { items, open, setOpen } = useTransfers();
  if (!items.length || !open) return null;
  const moving = alive(items);
  const { rate, left } = total(items);
  const words = moving.length
    ? [
        plural(moving.length, "file"),
        left !== null ? `about ${duration(left * 1000)} left` : "",
        rate ? `${bytes(rate)}/s` : "",
      ]
    : ["all done"];
  return (
    <section className="tray" aria-label="Transfers">
      <header>
        <h2>Transfers</h2>
        <span className="small m2" aria-live="polite">
          {words.filter(Boolean).join(", ")}
        </span>
        <span className="grow" />
        {moving.length ? null : (
          <Button
            small
            look="ghost"
            onClick={() => {
              for (const item of items) drop(item.id);
            }}
          >
            Clear
          </Button>
        )}
        <Button small look="ghost" icon="cd" aria-label="Hide" onClick={() => setOpen(false)} />
      </header>
      <ul>
        {items.map((item) => (
          <Row key={item.id} item={item} />
        ))}
      </ul>
    </section>
  );
}

function Row({ item }: { item: Transfer }) {
  return (
    <li>
      <Icon name={item.state === "done" ? "check" : "up"} />
      <div className="grow">
        <span className="row">
          <b className="trunc grow">{item.name}</b>
          {item.state === "running" || item.state === "cut" ? (
            <Button
              small
              look="ghost"
              icon="pause"
              aria-label={`Pause ${item.name}`}
              onClick={() => pause(item.id)}
            />
          ) : null}
          {item.state === "paused" || item.state === "failed" ? (
            <Button
              small
              look="ghost"
              icon="redo"
              aria-label={`Go on with ${item.name}`}
              onClick={() => resume(item.id)}
            />
          ) : null}
          <Button
            small
            look="ghost"
            icon="x"
            aria-label={item.state === "done" ? `Forget ${item.name}` : `Give up ${item.name}`}
            onClick={() => drop(item.id)}
          />
        </span>
        <span
          className={
            item.state === "failed"
              ? "err"
              : item.state === "cut" || item.state === "conflict"
                ? "small ask"
                : "small m2"
          }
        >
          {item.text || words(item)}
        </span>
        {item.state === "conflict" ? (
          <span className="row">
            <Button small onClick={() => settle(item.id, "keep_both")}>
              Keep both
            </Button>
            <Button small onClick={() => settle(item.id, "replace")}>
              Replace it
            </Button>
            <Button small onClick={() => drop(item.id)}>
              Skip
            </Button>
          </span>
        ) : null}
        {item.state === "done" ? null : (
          <Bar used={item.sent} of={item.size || 1} kind={item.state === "running" ? "" : "ask"} />
        )}
      </div>
    </li>
  );
}

function words(item: Transfer): string {
  if (item.state === "done") return `${bytes(item.size)}, in ${item.folder || "the top folder"}`;
  const left = item.rate > 0 ? `, ${duration(((item.size - item.sent) / item.rate) * 1000)} left` : "";
  const rate = item.rate > 0 ? `, ${bytes(item.rate)}/s` : "";
  const state = item.state === "paused" ? ", paused" : item.state === "waiting" ? ", in line" : "";
  return `${bytes(item.sent)} of ${bytes(item.size)}${rate}${left}${state}`;
}
