/** When stages start and run, how long they take, why they fail, and what GPUs stand idle for. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { count, duration, percent } from "@/design/format.ts";
import { ProblemPage } from "@/design/Problem.tsx";
import { Skeleton } from "@/design/parts.tsx";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { Causes } from "./Causes.tsx";
import { Heat } from "./Heat.tsx";
import { IdleDays } from "./IdleDays.tsx";
import { Lengths } from "./Lengths.tsx";
import "./statistics.css";

export interface StatisticsSearch {
  days?: number;
  pipeline?: string;
}

const RANGES = [
  { days: 7, word: "7 d" },
  { days: 28, word: "4 weeks" },
  { days: 91, word: "Quarter" },
];
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

function rangeOf(days: number) {
  const day = new Date(Date.now() - days * 86_400_000);
  day.setHours(0, 0, 0, 0);
  return { since: day.toISOString(), zone };
}

export function StatisticsPage() {
  const { days = 28, pipeline } = useSearch({ from: "/inside/statistics" });
  const navigate = useNavigate();
  useTitle("Statistics");
  const range = rangeOf(days);
  const query = { ...range, ...(pipeline ? { pipeline: [pipeline] } : {}) };
  const params = { query };
  const key = [range.since, range.zone, pipeline ?? ""];
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
  // all there are in this time, whichever is chosen
  const pipelines = useQuery({
    queryKey: ["statistics", "durations", range.since, range.zone, ""],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/statistics/durations", { params: { query: range }, signal })),
    select: (found) => [...new Set(found.items.map((item) => item.pipeline))].sort(),
  });
  const asked = new URLSearchParams({ ...range, ...(pipeline ? { pipeline } : {}) });
  const csv = (what: string) => `/api/v1/statistics${what}?format=csv&${asked}`;
  const queries = [activity, lengths, failures, idle, summary];
  const error = queries.find((each) => each.error)?.error;
  const show = (search: StatisticsSearch) =>
    void navigate({
      to: "/statistics",
      search: {
        ...(search.days && search.days !== 28 ? { days: search.days } : {}),
        ...(search.pipeline ? { pipeline: search.pipeline } : {}),
      },
      replace: true,
    });
  const known = pipelines.data ?? [];
  const gpuDays = (idle.data?.items ?? []).filter((day) => day.gpu_total);
  return (
    <>
      <TopBar>
        <b>Statistics</b>
      </TopBar>
      <h1 className="vh">Statistics</h1>
      <div className="page statistics">
        <div className="row wrap">
          <div className="seg" role="group" aria-label="Time">
            {RANGES.map((each) => (
              <button
                key={each.days}
                type="button"
                aria-pressed={days === each.days}
                onClick={() => show({ days: each.days, pipeline })}
              >
                {each.word}
              </button>
            ))}
          </div>
          <select
            className="in"
            aria-label="Of which pipeline"
            value={pipeline ?? ""}
            onChange={(event) => show({ days, pipeline: event.target.value })}
          >
            <option value="">all pipelines</option>
            {(pipeline && !known.includes(pipeline) ? [pipeline, ...known] : known).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          <span className="small m2">
            since {dayOf.format(Date.parse(range.since))}, hours in {zone}
          </span>
          <span className="grow" />
          <a className="btn" href={csv("")} download>
            Totals as CSV
          </a>
        </div>
        {error ? (
          <ProblemPage error={error} again={() => queries.forEach((each) => void each.refetch())} />
        ) : null}
        {!activity.data && !error ? <Skeleton rows={3} height={200} /> : null}
        {summary.data ? <Figures totals={summary.data.totals} /> : null}
        {activity.data ? (
          <div className="stat-grid">
            <Heat
              title="Starts by hand"
              week={activity.data.by_hand}
              unit="starts"
              about="by hour"
              csv={csv("/activity")}
            />
            <Heat
              title="Starts by themselves"
              week={activity.data.automatic}
              unit="starts"
              about="after a stage or a gate"
              csv={csv("/activity")}
            />
            <Heat
              title="Running at once, by hand"
              week={activity.data.running_by_hand}
              unit="running on average"
              mean
              csv={csv("/activity")}
            />
            <Heat
              title="Running at once, by themselves"
              week={activity.data.running_automatic}
              unit="running on average"
              mean
              csv={csv("/activity")}
            />
            <Causes failures={failures.data} csv={csv("/failures")} />
            {activity.data.gpus.total ? (
              <Heat
                title="GPUs in use at once"
                week={activity.data.gpus}
                unit="in use on average"
                mean
                csv={csv("/activity")}
              />
            ) : null}
            {gpuDays.length ? <IdleDays days={gpuDays} csv={csv("/idle")} /> : null}
            {lengths.data ? <Lengths items={lengths.data.items} csv={csv("/durations")} /> : null}
          </div>
        ) : null}
      </div>
    </>
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
          [
            "Idle GPU hours",
            hours(idle),
            totals.gpu_idle.person
              ? `${hours(totals.gpu_idle.person)} of them while a project waited for a person`
              : "",
          ],
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
