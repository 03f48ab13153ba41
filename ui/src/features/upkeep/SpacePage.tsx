/** What a project may use at a time, how long it keeps things, what lies on the disk for it, and cleaning up: what goes and what
 *  stays is told before, and what went can be taken back. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import { bytes, plural } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Panel, Skeleton } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { Ago } from "@/design/time.tsx";
import { numbered, useProject } from "@/shared/project.ts";
import { leftoversQuery } from "./ask.ts";
import { Leftovers } from "./Leftovers.tsx";
import { KeepingPanel, LimitPanel } from "./Rules.tsx";
import { type OnDisk, onDisk } from "./upkeep.ts";
import "./upkeep.css";

const ROWS = 12; // stages shown, the largest

export function SpacePage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const leftovers = useQuery(leftoversQuery(id));
  if (!project) return null;
  return (
    <div className="grid2 upkeep">
      <div>
        <Leftovers project={project} leftovers={leftovers} />
        <Disk project={id} />
      </div>
      <div>
        <LimitPanel key={JSON.stringify(project.limit)} project={project} />
        <KeepingPanel key={JSON.stringify(project.keep)} project={project} usual={leftovers.data} />
      </div>
    </div>
  );
}

function Disk({ project }: { project: string }) {
  const disk = useQuery({
    queryKey: ["project", project, "disk"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}/disk", { params: { path: { project } }, signal })),
  });
  const rows = onDisk(disk.data?.parts ?? []);
  const shown = rows.slice(0, ROWS);
  const others = rows.slice(ROWS);
  const oldest = (disk.data?.parts ?? []).map((part) => part.at).sort()[0];
  return (
    <Panel
      title="On the disk"
      about={
        rows.length ? (
          <>
            <b>{bytes(disk.data?.bytes ?? 0)}</b> in {plural(disk.data?.files ?? 0, "file")}
            {disk.data?.complete ? "" : ", and what is not counted yet"}
          </>
        ) : null
      }
    >
      {disk.error ? <ProblemNote error={disk.error} again={() => void disk.refetch()} /> : null}
      {!disk.data && !disk.error ? <Skeleton rows={3} height={32} /> : null}
      {disk.data && !rows.length ? (
        <p className="m2">Not counted yet. That happens every ten minutes, in the background.</p>
      ) : null}
      {rows.length ? (
        <div ref={sideways} className="scroll-x">
          <table className="tbl disk">
            <thead>
              <tr>
                <th>Stage</th>
                <th>
                  <span className="vh">Share of the largest</span>
                </th>
                <th className="num">Workspace</th>
                <th className="num">Output</th>
                <th className="num wide-only">Logs, records</th>
                <th className="num">All</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <Row key={`${row.number} ${row.name}`} row={row} largest={shown[0]?.total ?? 0} />
              ))}
              {others.length ? (
                <tr className="m2">
                  <td colSpan={2}>{plural(others.length, "smaller one")}</td>
                  <td className="num">{bytes(others.reduce((all, row) => all + row.workspace, 0))}</td>
                  <td className="num">{bytes(others.reduce((all, row) => all + row.output, 0))}</td>
                  <td className="num wide-only">{bytes(others.reduce((all, row) => all + row.rest, 0))}</td>
                  <td className="num">{bytes(others.reduce((all, row) => all + row.total, 0))}</td>
                </tr>
              ) : null}
            </tbody>
          </table>
        </div>
      ) : null}
      {oldest ? (
        <p className="small m3 counted">
          Counted in the background, <Ago at={oldest} /> and later. Outputs, logs and records are never
          cleaned up, nor is a workspace that a result was made from.
        </p>
      ) : null}
    </Panel>
  );
}

function Row({ row, largest }: { row: OnDisk; largest: number }) {
  const part = (value: number) => `${largest > 0 ? (100 * value) / largest : 0}%`;
  return (
    <tr>
      <td className="what">
        {row.name} <span className="m3">{row.number ? numbered(row.number) : ""}</span>
      </td>
      <td className="share" aria-hidden="true">
        <span className="stack">
          <i className="of-workspace" style={{ width: part(row.workspace) }} />
          <i className="of-output" style={{ width: part(row.output) }} />
          <i className="of-rest" style={{ width: part(row.rest) }} />
        </span>
      </td>
      <td className="num">{row.workspace ? bytes(row.workspace) : "–"}</td>
      <td className="num">{row.output ? bytes(row.output) : "–"}</td>
      <td className="num m2 wide-only">{row.rest ? bytes(row.rest) : "–"}</td>
      <td className="num">
        <b>{bytes(row.total)}</b>
      </td>
    </tr>
  );
}
