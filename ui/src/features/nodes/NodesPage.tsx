/** The machines: who has which GPU, what runs where, what is idle, and why a node takes nothing. */
import { Menu, Modal } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { LineChart } from "@/design/charts/LineChart.tsx";
import { bytes, clock, count, duration, percent, plural } from "@/design/format.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Bar, Button, Empty, Note, Skeleton } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { type State, StateTag } from "@/design/state.tsx";
import { Took, useNow } from "@/design/time.tsx";
import { useTopic } from "@/shared/live.ts";
import { OpenInNomad, useNomad } from "@/shared/Nomad.tsx";
import { nodesQuery } from "@/shared/nodes.ts";
import { useSession } from "@/shared/session.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { cells, short, stateOf, wordOf } from "./look.ts";
import "./nodes.css";

export type Node = components["schemas"]["NodeView"];
const HOURS = [1, 24, 168];

export function NodesPage() {
  useTitle("Nodes");
  const client = useQueryClient();
  const [hours, setHours] = useState(24);
  const [table, setTable] = useState(false);
  const nodes = useQuery({ ...nodesQuery, refetchInterval: 15_000 });
  useTopic("nodes", "", (message) => {
    if (message.type === "delta") void client.invalidateQueries({ queryKey: nodesQuery.queryKey });
  });
  const data = nodes.data;
  return (
    <>
      <TopBar>
        <b>Nodes</b> <span className="m3">{data ? count(data.items.length) : ""}</span>
      </TopBar>
      <h1 className="vh">Nodes</h1>
      <div className="page">
        {nodes.error && !data ? <ProblemPage error={nodes.error} again={() => void nodes.refetch()} /> : null}
        {nodes.error && data ? <ProblemNote error={nodes.error} again={() => void nodes.refetch()} /> : null}
        {!data && !nodes.error ? <Skeleton rows={4} height={120} /> : null}
        {data ? (
          <>
            <div className="figures">
              {data.gpus ? (
                <Figure word="GPUs in use" value={count(data.gpus_booked)} of={`of ${count(data.gpus)}`} />
              ) : null}
              <Figure word="Stages running" value={count(data.running)} />
              <Figure word="Waiting for a machine" value={count(data.waiting)} />
              <span className="grow" />
              <div className="seg" role="group" aria-label="How">
                <button type="button" aria-pressed={!table} onClick={() => setTable(false)}>
                  Cards
                </button>
                <button type="button" aria-pressed={table} onClick={() => setTable(true)}>
                  Table
                </button>
              </div>
              <div className="seg" role="group" aria-label="How far back">
                {HOURS.map((each) => (
                  <button
                    key={each}
                    type="button"
                    aria-pressed={hours === each}
                    onClick={() => setHours(each)}
                  >
                    {each < 48 ? `${each} h` : `${each / 24} d`}
                  </button>
                ))}
              </div>
            </div>
            {!data.items.length ? (
              <Empty icon="nodes" title="No nodes yet">
                A node joins when its agent runs. The page on clusters tells how, in one command.
              </Empty>
            ) : table ? (
              <Table nodes={data.items} />
            ) : (
              <div className="node-grid">
                {data.items.map((node) => (
                  <Card key={node.name} node={node} hours={hours} />
                ))}
              </div>
            )}
            <WaitingList />
          </>
        ) : null}
      </div>
    </>
  );
}

function Figure({ word, value, of }: { word: string; value: string; of?: string }) {
  return (
    <div className="figure">
      <span className="small m2">{word}</span>
      <span>
        <b>{value}</b> <span className="m2">{of}</span>
      </span>
    </div>
  );
}

function Card({ node, hours }: { node: Node; hours: number }) {
  const now = useNow();
  const state = stateOf(node);
  const nomad = useNomad();
  const load = node.load;
  const models = node.gpus.map(
    (g) => `${short(g.model)} ${bytes(g.memory)}${g.count > 1 ? ` × ${g.count}` : ""}`,
  );
  const facts = [
    models.join(", ") || "no GPU",
    plural(node.cpu, "core"),
    `${bytes(node.memory)}.`,
    load?.up ? `Up ${duration(load.up * 1000)}` : "",
  ].filter(Boolean);
  return (
    <section className="panel node" data-state={node.state} aria-label={node.name}>
      <header>
        <h2>{node.name}</h2>
        <StateTag state={state} word={wordOf(node, now)} />
        <span className="grow" />
        <NodeMenu node={node} />
      </header>
      <div className="body col gap">
        <p className="small m2">{facts.join(", ").replace(".,", ".")}</p>
        {node.driver === "nomad" && nomad ? (
          <p>
            <OpenInNomad href={`${nomad}/clients?search=${encodeURIComponent(node.name)}`} />
          </p>
        ) : null}
        {node.draining ? (
          <Note action={null}>
            {node.draining}
            {node.free_at ? ` Free at about ${clock(Date.parse(node.free_at), now)}.` : ""}
          </Note>
        ) : node.note ? (
          <Note kind={node.state === "down" ? "bad" : "ask"} icon="warn">
            {node.note}
          </Note>
        ) : null}
        <div className="gpus">
          {cells(node).map((cell) => (
            <div
              key={cell.key}
              className="gpu"
              data-busy={cell.busy ? "" : undefined}
              style={{ "--p": `${cell.percent ?? 0}%` } as React.CSSProperties}
            >
              <span className="row">
                <span className="trunc">{cell.title}</span>
                <span className="grow" />
                {cell.percent != null ? <b className="nowrap">{percent(cell.percent)}</b> : null}
              </span>
              {cell.busy ? (
                <>
                  <Link className="trunc" to="/projects/$project" params={{ project: cell.busy.project }}>
                    {cell.busy.name}
                  </Link>
                  <span className="trunc">
                    {cell.busy.id}
                    {cell.busy.percent != null ? `, ${percent(cell.busy.percent)}` : ""}
                    {cell.busy.expected ? `, to ${clock(Date.parse(cell.busy.expected), now)}` : ""}
                  </span>
                </>
              ) : (
                <b>Free</b>
              )}
              {cell.detail ? <span className="trunc">{cell.detail}</span> : null}
            </div>
          ))}
        </div>
        <Gauge
          word="CPU"
          used={load?.cpu ?? node.cpu_booked}
          of={node.cpu}
          text={`${count(round(load?.cpu ?? node.cpu_booked))} of ${count(node.cpu)} cores`}
        />
        <Gauge
          word="Memory"
          used={load?.memory ?? node.memory_booked}
          of={node.memory}
          text={`${bytes(load?.memory ?? node.memory_booked)} of ${bytes(node.memory)}`}
        />
        {load?.disk_total ? (
          <Gauge
            word="Disk"
            used={load.disk_total - (load.disk_free ?? 0)}
            of={load.disk_total}
            text={`${bytes(load.disk_free ?? 0)} free`}
          />
        ) : null}
        <History node={node} hours={hours} />
      </div>
    </section>
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function Gauge({ word, used, of, text }: { word: string; used: number; of: number; text: string }) {
  return (
    <div className="gauge">
      <span className="small m2">{word}</span>
      <Bar used={used} of={of} kind="rest" />
      <span className="small">{text}</span>
    </div>
  );
}

function History({ node, hours }: { node: Node; hours: number }) {
  const { data } = useQuery({
    queryKey: ["nodes", node.name, "samples", hours],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/nodes/{node}/samples", {
          params: {
            path: { node: node.name },
            query: { since: new Date(Date.now() - hours * 3_600_000).toISOString() },
          },
          signal,
        }),
      ),
    refetchInterval: 60_000,
  });
  const items = data?.items ?? [];
  const gpu = node.gpus_total > 0;
  const values = items.map((s) => (gpu ? s.gpu : s.cpu) ?? null); // percent of all that the node has
  const known = values.filter((v): v is number => v != null);
  if (known.length < 2)
    return (
      <p className="small m3">
        {gpu ? "GPU" : "CPU"}, {hours} h: not enough is known yet
      </p>
    );
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  return (
    <div>
      <p className="row small m2">
        {gpu ? "GPU" : "CPU"}, {hours < 48 ? `${hours} h` : `${hours / 24} d`}
        <span className="grow" />
        {percent(mean)} on average
      </p>
      <LineChart
        label={`${gpu ? "GPU" : "CPU"} of ${node.name}`}
        spark
        time
        height={72}
        limit={100}
        x={items.map((s) => Date.parse(s.at) / 1000)}
        series={[{ label: gpu ? "GPU" : "CPU", values }]}
        unit="%"
      />
    </div>
  );
}

function NodeMenu({ node }: { node: Node }) {
  const session = useSession();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  if (!node.can_drain || (session?.role !== "admin" && session?.role !== "maintainer")) return null;
  const close = () => {
    setAsking(false);
    setError(null);
  };
  const act = async (call: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    try {
      await call();
      setAsking(false);
      await client.invalidateQueries({ queryKey: nodesQuery.queryKey });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  const path = { node: node.name };
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button look="ghost" small icon="more" aria-label={`More about ${node.name}`} />
        </Menu.Target>
        <Menu.Dropdown>
          {node.draining ? (
            <Menu.Item
              onClick={() =>
                void act(() => taken(api.POST("/api/v1/nodes/{node}/undrain", { params: { path } })))
              }
            >
              End the drain
            </Menu.Item>
          ) : (
            <Menu.Item onClick={() => setAsking(true)}>Drain…</Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={!!error && !asking}
        onClose={close}
        title={`The drain of ${node.name} was not ended`}
        centered
      >
        {error ? <ProblemNote error={error} /> : null}
      </Modal>
      <Modal opened={asking} onClose={close} title={`Drain ${node.name}?`} centered>
        <form
          className="col gap"
          onSubmit={(event: FormEvent<HTMLFormElement>) => {
            event.preventDefault();
            const why = String(new FormData(event.currentTarget).get("why"));
            void act(() =>
              taken(api.POST("/api/v1/nodes/{node}/drain", { params: { path }, body: { text: why } })),
            );
          }}
        >
          <p>
            Nothing new starts here.{" "}
            {node.busy.length
              ? `${plural(node.busy.length, "stage")} (${node.busy.map((b) => `${b.id} of ${b.name}`).join(", ")}) ${node.busy.length === 1 ? "runs" : "run"} to the end.`
              : "Nothing runs here now."}
          </p>
          <label className="field">
            <span className="lbl">Why, for those who wonder</span>
            <input className="in" name="why" maxLength={200} data-autofocus placeholder="new fan" />
          </label>
          {error ? <ProblemNote error={error} /> : null}
          <div className="row end">
            <Button onClick={close}>Leave it</Button>
            <Button look="primary" type="submit" busy={busy}>
              Drain {node.name}
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}

function Table({ nodes }: { nodes: Node[] }) {
  const now = useNow();
  return (
    <div ref={sideways} className="scroll-x">
      <table className="tbl">
        <thead>
          <tr>
            <th>Node</th>
            <th>State</th>
            <th>Pool</th>
            <th className="num">GPUs</th>
            <th className="num">Cores</th>
            <th className="num">Memory</th>
            <th>Runs</th>
            <th>Tags</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.name}>
              <td>
                <b>{node.name}</b>
              </td>
              <td>
                <StateTag state={stateOf(node)} word={wordOf(node, now)} />
              </td>
              <td>{node.pool}</td>
              <td className="num">
                {node.gpus_booked} of {node.gpus_total}
              </td>
              <td className="num">
                {count(round(node.cpu_booked))} of {count(node.cpu)}
              </td>
              <td className="num">
                {bytes(node.memory_booked)} of {bytes(node.memory)}
              </td>
              <td className="small">{node.busy.map((b) => `${b.id} of ${b.name}`).join(", ") || "–"}</td>
              <td className="small m2">{node.tags.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Projects of which a stage waits for a machine, the longest first. */
function WaitingList() {
  const { data } = useQuery({
    queryKey: ["projects", "waiting-for-a-machine"],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects", {
          params: { query: { state: ["running", "queued"], limit: 200 } },
          signal,
        }),
      ),
    refetchInterval: 10_000,
  });
  const rows = (data?.items ?? [])
    .filter((row) => row.current && ["submitted", "queued"].includes(row.current.state) && row.current.reason)
    .sort((a, b) => ((a.current?.since ?? "") < (b.current?.since ?? "") ? -1 : 1));
  if (!rows.length) return null;
  return (
    <section aria-labelledby="waiting">
      <h2 id="waiting" className="waiting-head">
        Waiting for a machine <span className="m3">{count(rows.length)}</span>
      </h2>
      <table className="tbl">
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td>
                <Link to="/projects/$project" params={{ project: row.id }}>
                  {row.name}
                </Link>
              </td>
              <td>
                <StateTag state={row.current?.state as State} word={row.current?.id} />
              </td>
              <td className="m2">{row.current?.reason}</td>
              <td className="num m2">
                {row.current?.since ? (
                  <>
                    for <Took from={row.current.since} />
                  </>
                ) : null}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
