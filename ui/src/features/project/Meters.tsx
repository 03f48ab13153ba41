/** What the running stage uses at this moment, each against what it may use. */
import { useQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { Spark } from "@/design/charts/Spark.tsx";
import { bytes, count, percent } from "@/design/format.ts";
import { Panel } from "@/design/parts.tsx";
import { cores, useReadings } from "@/shared/meters.ts";
import { numbered, type Project, type StageView, type Step } from "@/shared/project.ts";

export function Meters({ project, step, stage }: { project: Project; step: Step; stage: StageView }) {
  const attempt = `${project.id}/${numbered(stage.number)}/${stage.attempt}`;
  const readings = useReadings(attempt);
  const wanted = step.definition.resources;
  const used = cores(readings);
  const memory = readings.map((r) => r.memory);
  const nowMemory = memory.at(-1) ?? stage.progress?.memory_bytes ?? 0;
  const most = wanted?.memory_max ?? wanted?.memory ?? 0;
  // until there are two readings: what it used on average so far
  const told = stage.progress;
  const run = told?.at && stage.started ? (Date.parse(told.at) - Date.parse(stage.started)) / 1000 : 0;
  const nowCores = used.at(-1) ?? (told && run > 0 ? told.cpu_seconds / run : undefined);
  const cards = useCards(attempt, (wanted?.gpu?.count ?? 0) > 0);
  return (
    <Panel title={`${stage.id} ${numbered(stage.number)} now`} about={`on ${stage.node}`}>
      <ul className="meters">
        {cards.map((card) => (
          <li key={card.uuid} className="contents">
            <span className="m2">GPU {card.index}</span>
            <Spark values={card.percents} limit={100} />
            <span className="num">
              <b>{card.percent == null ? "–" : percent(card.percent)}</b>
            </span>
            <span className="m2">GPU memory</span>
            <Spark values={card.memories} limit={card.memory} />
            <span className="num">
              <b>{card.memory_used == null ? "–" : bytes(card.memory_used)}</b> of {bytes(card.memory)}
            </span>
          </li>
        ))}
        <li className="contents">
          <span className="m2">CPU</span>
          <Spark values={used} limit={Math.max(wanted?.cpu ?? 0, ...used)} series={3} />
          <span className="num">
            <b>{nowCores == null ? "–" : count(nowCores)}</b>{" "}
            {wanted?.cpu ? `of ${count(wanted.cpu)} ${wanted.cpu === 1 ? "core" : "cores"}` : "cores"}
          </span>
        </li>
        <li className="contents">
          <span className="m2">Memory</span>
          <Spark values={memory} limit={most || undefined} series={3} />
          <span className="num">
            <b>{nowMemory ? bytes(nowMemory) : "–"}</b> {most ? `of ${bytes(most)}` : ""}
          </span>
        </li>
      </ul>
    </Panel>
  );
}

type Card = NonNullable<Awaited<ReturnType<typeof askCards>>["items"][number]["load"]>["cards"][number];
interface Meter extends Card {
  percents: number[];
  memories: number[];
}
const KEPT = 120;

function askCards(signal: AbortSignal) {
  return taken(api.GET("/api/v1/nodes", { signal }));
}

/** The GPUs that the attempt has, with what they did since the page is open. */
function useCards(attempt: string, wanted: boolean): Meter[] {
  const { data } = useQuery({
    queryKey: ["cards", attempt],
    queryFn: async ({ signal, client, queryKey }): Promise<Meter[]> => {
      const before = new Map((client.getQueryData<Meter[]>(queryKey) ?? []).map((m) => [m.uuid, m]));
      const nodes = await askCards(signal);
      return nodes.items
        .flatMap((node) => node.load?.cards ?? [])
        .filter((card) => card.attempts.includes(attempt))
        .map((card) => ({
          ...card,
          percents: [...(before.get(card.uuid)?.percents ?? []), card.percent ?? 0].slice(-KEPT),
          memories: [...(before.get(card.uuid)?.memories ?? []), card.memory_used ?? 0].slice(-KEPT),
        }));
    },
    refetchInterval: 5_000,
    enabled: wanted,
  });
  return data ?? [];
}
