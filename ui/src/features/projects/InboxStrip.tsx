/** What waits for a person, on top of everything: at most three, oldest first. */
import { Link } from "@tanstack/react-router";
import { count } from "@/design/format.ts";
import { StateMark } from "@/design/state.tsx";
import { Took } from "@/design/time.tsx";
import { Picture } from "@/shared/Picture.tsx";
import type { Row } from "./rows.ts";

const SHOWN = 3;

interface Ask {
  row: Row;
  since: string;
  text: string;
  failed: boolean;
  action: string;
}

/** The oldest question of each project that the caller may answer. */
export function asked(rows: Row[]): Ask[] {
  const found: Ask[] = [];
  for (const row of rows) {
    if (row.role === "viewer") continue;
    const gate = row.gates[0];
    const failure = row.pause?.kind === "failure" || row.pause?.kind === "impossible" ? row.pause : null;
    if (gate) {
      const action = gate.kind === "values" ? "Fill in" : gate.kind === "choice" ? "Choose" : "Inspect";
      found.push({ row, since: gate.since, text: gate.question, failed: false, action });
    } else if (failure) {
      found.push({ row, since: failure.since, text: failure.text, failed: true, action: "Look" });
    }
  }
  return found.sort((a, b) => (a.since < b.since ? -1 : 1));
}

/** Something follows: it has to end. */
function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

export function InboxStrip({ rows }: { rows: Row[] }) {
  const all = asked(rows);
  if (!all.length) return null;
  return (
    <section aria-labelledby="waiting-for-you" className="inbox-strip">
      <div className="row">
        <h2 id="waiting-for-you">Waiting for you</h2>
        <span className="m3">{count(all.length)}</span>
        <span className="grow" />
        {all.length > SHOWN ? (
          <Link to="/inbox" className="small">
            All {count(all.length)}, oldest first
          </Link>
        ) : (
          <span className="m3 small">Oldest first</span>
        )}
      </div>
      <ul className="inbox">
        {all.slice(0, SHOWN).map(({ row, since, text, failed, action }, at) => (
          <li key={row.id} data-s={failed ? "paused-failure" : "waiting"}>
            <Picture project={row.id} path={row.thumbnail} name={row.name} width={64} height={42} />
            <b className="trunc">{row.name}</b>
            <p className="clamp">
              <StateMark state={failed ? "failed" : "waiting"} /> {sentence(text)}{" "}
              <span className="nowrap">
                For <Took from={since} />
              </span>
            </p>
            <Link
              className={at === 0 ? "btn primary" : "btn"}
              to="/projects/$project"
              params={{ project: row.id }}
            >
              {action}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
