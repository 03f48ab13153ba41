/** When stages start and run, how long they take, why they fail, and what GPUs stand idle for. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { HeatMap } from "@/design/charts/HeatMap.tsx";
import { count, duration, percent } from "@/design/format.ts";
import { ProblemPage } from "@/design/Problem.tsx";
import { Bar, Empty, Panel, Skeleton } from "@/design/parts.tsx";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import "./statistics.css";

export interface StatisticsSearch {
  days?: number;
}

type Length = components["schemas"]["Length"];

const RANGES = [7, 28, 90];
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function useRange(days: number) {
  const day = new Date(Date.now() - days * 86_400_000);
  day.setHours(0, 0, 0, 0);
  return { since: day.toISOString(), zone };
}

export function StatisticsPage() {
  const { days = 28 } = useSearch({ from: "/inside/statistics" });
  const navigate = useNavigate();
  useTitle("Statistics");
  const query = useRange(days);
  const params = { query };
  const key = [query.since, query.zone];
  const activity = useQuery({
    queryKey: ["statistics", "activity", ...key],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/statistics/activity", { params, signal })),
  });
  const lengths = useQuery({
    queryKey: ["statistics", "durations", ...key],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/statistics/durations", { params, signal })),
  });
  const failures = useQuery({
    queryKey: ["statistics", "failures", ...key],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/statistics/failures", { params, signal })),
  });
  const idle = useQuery({
    queryKey: ["statistics", "idle", ...key],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/statistics/idle", { params, signal })),
  });
  const summary = useQuery({
    queryKey: ["statistics", "summary", ...key],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/statistics", { params, signal })),
  });
  const csv = (what: string) => `/api/v1/statistics/${what}?format=csv&${new URLSearchParams(query)}`;
  const error = activity.error ?? lengths.error ?? failures.error ?? idle.error;
  return (
    <>
      <TopBar>
        <b>Statistics</b>
      </TopBar>
      <h1 className="vh">Statistics</h1>
      <div className="page statistics">
        <div className="row">
          <div className="seg" role="group" aria-label="Time">
            {RANGES.map((each) => (
              <button
                key={each}
                type="button"
                aria-pressed={days === each}
                onClick={() =>
                  void navigate({
                    to: "/statistics",
                    search: each === 28 ? {} : { days: each },
                    replace: true,
                  })
                }
              >
                {each} days
              </button>
            ))}
          </div>
          <span className="small m2">hours in {zone}</span>
        </div>
        {error ? <ProblemPage error={error} again={() => void activity.refetch()} /> : null}
        {!activity.data && !error ? <Skeleton rows={3} height={200} /> : null}
        {summary.data ? <Figures totals={summary.data.totals} /> : null}
        {activity.data ? (
          <div className="stat-grid">
            <Heat
              title="Started by people"
              hours={activity.data.by_hand.hours}
              unit="stages"
              total={activity.data.by_hand.total}
              csv={csv("activity")}
            />
            <Heat
              title="Started by themselves"
              hours={activity.data.automatic.hours}
              unit="stages"
              total={activity.data.automatic.total}
              csv={csv("activity")}
            />
            <Heat
              title="Stages running at once"
              hours={activity.data.running.hours}
              unit="on average"
              total={largest(activity.data.running.hours)}
              csv={csv("activity")}
              most
            />
            <Causes failures={failures.data} csv={csv("failures")} />
            {activity.data.gpus.total ? (
              <Heat
                title="GPUs in use at once"
                hours={activity.data.gpus.hours}
                unit="on average"
                total={largest(activity.data.gpus.hours)}
                csv={csv("activity")}
                most
              />
            ) : null}
          </div>
        ) : null}
        <Panel title="How long stages take" actions={<Csv href={csv("durations")} />}>
          {lengths.data?.items.length ? (
            <Lengths items={lengths.data.items} />
          ) : (
            <Empty icon="clock" title="Nothing has ended in this time" />
          )}
        </Panel>
        {idle.data?.items.some((d) => d.gpu_total) ? (
          <Panel title="GPU hours, used and idle" actions={<Csv href={csv("idle")} />}>
            <table className="tbl">
              <tbody>
                {idle.data.items
                  .filter((d) => d.gpu_total)
                  .slice(-31)
                  .map((d) => (
                    <tr key={d.day}>
                      <td>{d.day}</td>
                      <td className="bar-cell">
                        <Bar used={d.gpu_used} of={d.gpu_total} />
                      </td>
                      <td className="num">
                        {percent((100 * d.gpu_used) / d.gpu_total)} of {count(Math.round(d.gpu_total / 3600))}{" "}
                        h
                      </td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </Panel>
        ) : null}
      </div>
    </>
  );
}

function largest(hours: number[][]): number {
  return Math.max(0, ...hours.flat());
}

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

function Causes({ failures, csv }: { failures: components["schemas"]["Failures"] | undefined; csv: string }) {
  const items = failures?.items ?? [];
  const all = items.reduce((sum, cause) => sum + cause.count, 0);
  return (
    <Panel
      title="Why stages fail"
      about={failures ? `${count(all)} of ${count(failures.ended)} that ended` : ""}
      actions={<Csv href={csv} />}
    >
      {items.length ? (
        <table className="tbl causes">
          <tbody>
            {items.map((cause) => {
              const stages = Object.entries(cause.stages).sort((a, b) => b[1] - a[1]);
              return (
                <tr key={cause.cause} title={stages.map(([id, n]) => `${id} ${n}`).join(", ")}>
                  <td>
                    {CAUSES[cause.cause] ?? cause.cause.replaceAll("_", " ")}
                    <div className="small m3 trunc">
                      {stages
                        .slice(0, 4)
                        .map(([id, n]) => `${id} ${n}`)
                        .join(", ")}
                      {stages.length > 4 ? `, ${count(stages.length - 4)} more` : ""}
                    </div>
                  </td>
                  <td className="bar-cell">
                    <Bar used={cause.count} of={all} kind="rest" />
                  </td>
                  <td className="num">
                    {count(cause.count)}, {percent((100 * cause.count) / all)}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      ) : (
        <Empty icon="check" title="Nothing has failed in this time" />
      )}
    </Panel>
  );
}

function Figures({ totals }: { totals: components["schemas"]["Totals"] }) {
  const ended = Object.values(totals.ended).reduce((sum, n) => sum + n, 0);
  const time = (seconds: number | null) => (seconds == null ? "–" : duration(seconds * 1000));
  const hours = (seconds: number) => count(Math.round(seconds / 3600));
  const idle = Object.values(totals.gpu_idle).reduce((sum, n) => sum + n, 0);
  const figures: [string, string, string][] = [
    [
      "Stages ended",
      count(ended),
      ended ? `${((100 * (totals.ended.succeeded ?? 0)) / ended).toFixed(1)} % succeeded` : "",
    ],
    ...(totals.gpu_total
      ? ([
          [
            "GPU hours used",
            hours(totals.gpu_used),
            `${percent((100 * totals.gpu_used) / totals.gpu_total)} of ${hours(totals.gpu_total)}`,
          ],
          ["Idle GPU hours", hours(idle), ""],
        ] as [string, string, string][])
      : []),
    [
      "Waited for a machine, median",
      time(totals.waited_median),
      totals.waited_p90 == null ? "" : `9 in 10 under ${time(totals.waited_p90)}`,
    ],
    [
      "Waited for a person, median",
      time(totals.asked_median),
      totals.asked_p90 == null ? "" : `9 in 10 under ${time(totals.asked_p90)}`,
    ],
  ];
  return (
    <dl className="stat-figures">
      {figures.map(([word, value, more]) => (
        <div key={word}>
          <dt className="small m2">{word}</dt>
          <dd>
            <b>{value}</b>
          </dd>
          <dd className="small m2">{more}</dd>
        </div>
      ))}
    </dl>
  );
}

function Csv({ href }: { href: string }) {
  return (
    <a className="btn ghost sm" href={href} download>
      CSV
    </a>
  );
}

function Heat({
  title,
  hours,
  unit,
  total,
  csv,
  most,
}: {
  title: string;
  hours: number[][];
  unit: string;
  total: number;
  csv: string;
  /** what is told is the largest of the means, not a sum */
  most?: boolean;
}) {
  const told = `${count(total)} ${unit}`;
  return (
    <Panel title={title} about={most ? `up to ${told}` : told} actions={<Csv href={csv} />}>
      {total ? (
        <HeatMap label={title} values={hours} unit={unit} />
      ) : (
        <Empty icon="clock" title="Nothing in this time" />
      )}
    </Panel>
  );
}

function Lengths({ items }: { items: Length[] }) {
  const seconds = (value: number | null | undefined) => (value == null ? "–" : duration(value * 1000));
  const longest = Math.max(...items.map((i) => i.median ?? 0));
  return (
    <table className="tbl">
      <thead>
        <tr>
          <th>Stage</th>
          <th className="num">Ended</th>
          <th className="num">Median</th>
          <th>
            <span className="vh">Compared</span>
          </th>
          <th className="num">9 of 10 within</th>
          <th className="num">Waited</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={`${item.pipeline}/${item.stage}`}>
            <td>
              {item.stage} <span className="m3 small">{item.pipeline}</span>
            </td>
            <td className="num">{count(item.ended)}</td>
            <td className="num">{seconds(item.median)}</td>
            <td className="bar-cell">
              <Bar used={item.median ?? 0} of={longest} kind="rest" />
            </td>
            <td className="num">{seconds(item.p90)}</td>
            <td className="num m2">{seconds(item.waited_median)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
