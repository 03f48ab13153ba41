/** Why attempts did not succeed. */
import type { components } from "@/api/schema";
import { count, percent } from "@/design/format.ts";
import { Bar, Empty } from "@/design/parts.tsx";
import { Chart } from "./Chart.tsx";

const CAUSES: Record<string, string> = {
  exit: "own exit code",
  timeout: "time limit reached",
  out_of_memory: "out of memory",
  stopped: "stopped",
  killed: "killed",
  exec_failed: "command could not be run",
  runner_lost: "machine or runner lost",
  node_lost: "node lost",
  cancelled: "cancelled",
  rejected: "refused by the driver",
  workspace: "workspace could not be made",
};
const wordOf = (cause: string) => CAUSES[cause] ?? cause.replaceAll("_", " ");

export function Causes({
  failures,
  csv,
}: {
  failures: components["schemas"]["Failures"] | undefined;
  csv: string;
}) {
  const items = failures?.items ?? [];
  const all = items.reduce((sum, cause) => sum + cause.count, 0);
  const most = Math.max(0, ...items.map((cause) => cause.count));
  return (
    <Chart
      title="Why stages fail"
      about={failures ? `${count(all)} of ${count(failures.ended)} that ended` : ""}
      csv={csv}
    >
      {(table) =>
        !items.length ? (
          <Empty icon="check" title="Nothing has failed in this time" />
        ) : table ? (
          <table className="tbl">
            <thead>
              <tr>
                <th>Cause</th>
                <th>Stage</th>
                <th className="num">Attempts</th>
              </tr>
            </thead>
            <tbody>
              {items.flatMap((cause) =>
                byCount(cause.stages).map(([stage, number]) => (
                  <tr key={`${cause.cause}/${stage}`}>
                    <td>{wordOf(cause.cause)}</td>
                    <td>{stage}</td>
                    <td className="num">{count(number)}</td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        ) : (
          <ul className="causes">
            {items.map((cause) => (
              <li key={cause.cause}>
                <span>
                  {wordOf(cause.cause)}
                  <span className="small m3 trunc">{someOf(cause.stages)}</span>
                </span>
                <Bar used={cause.count} of={most} kind="rest" />
                <span className="num small m2">
                  {count(cause.count)}, {percent((100 * cause.count) / all)}
                </span>
              </li>
            ))}
          </ul>
        )
      }
    </Chart>
  );
}

const byCount = (stages: Record<string, number>) => Object.entries(stages).sort((a, b) => b[1] - a[1]);

function someOf(stages: Record<string, number>): string {
  const [all, shown] = [byCount(stages), 4];
  const told = all.slice(0, shown).map(([id, number]) => `${id} ${count(number)}`);
  return [...told, ...(all.length > shown ? [`${count(all.length - shown)} more`] : [])].join(", ");
}
