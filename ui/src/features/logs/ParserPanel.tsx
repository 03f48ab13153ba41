/** From an expression to a table: what it finds in this log, the CSV it makes, and into the stage's definition with it. */
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import { count, plural } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Note } from "@/design/parts.tsx";
import type { Parser } from "./into.ts";

const SETTLED = 350; // ms without a key before the server is asked

export function ParserPanel({
  project,
  stage,
  id,
  start,
  editable,
  onPattern,
  onClose,
}: {
  project: string;
  stage: number;
  /** of the definition */
  id: string;
  /** the expression to begin with */
  start: string;
  editable: boolean;
  /** for marking what is found in the log */
  onPattern: (pattern: string) => void;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const [parser, setParser] = useState<Parser>({ file: "values.csv", pattern: start, lines: 1, stream: "" });
  const [settled, setSettled] = useState(parser);
  const names = { pattern: useId(), file: useId() };
  useEffect(() => {
    const timer = setTimeout(() => setSettled(parser), SETTLED);
    return () => clearTimeout(timer);
  }, [parser]);
  useEffect(() => onPattern(settled.pattern), [settled.pattern, onPattern]);
  const sample = useQuery({
    queryKey: ["project", project, "sample", stage, settled],
    queryFn: ({ signal }) =>
      taken(
        api.POST("/api/v1/projects/{project}/stages/{stage}/tables/sample", {
          params: { path: { project, stage } },
          body: { ...settled, columns: {} },
          signal,
        }),
      ),
    enabled: !!settled.pattern && !!settled.file,
    placeholderData: keepPreviousData,
    retry: false,
  });
  const save = useMutation({
    mutationFn: async () => {
      const { withParser } = await import("./into.ts");
      const path = { project };
      const own = await taken(api.GET("/api/v1/projects/{project}/pipeline", { params: { path } }));
      const text = withParser(own.text, id, parser);
      if (text === null) throw new Error(`the project's pipeline has no stage ${id} any more`);
      await taken(
        api.PUT("/api/v1/projects/{project}/pipeline", {
          params: {
            path,
            header: { "Idempotency-Key": newKey(), "If-Match": `"${own.version}"` },
          },
          body: { text },
        }),
      );
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ["project", project] }),
  });
  const change = (next: Partial<Parser>) => {
    save.reset();
    setParser({ ...parser, ...next });
  };
  const groups = (sample.data?.header.length ?? 0) > 1;
  return (
    <section className="parser" aria-label="A table of this log">
      <div className="parser-fields">
        <div className="field">
          <label htmlFor={names.pattern}>Expression, its named groups become columns</label>
          <input
            id={names.pattern}
            className="in mono"
            spellCheck={false}
            value={parser.pattern}
            placeholder="frame (?P<frame>\d+): (?P<vehicles>\d+) vehicles"
            aria-invalid={!!sample.error}
            onChange={(event) => change({ pattern: event.target.value })}
          />
        </div>
        <div className="field">
          <label htmlFor={names.file}>Table</label>
          <input
            id={names.file}
            className="in mono"
            spellCheck={false}
            value={parser.file}
            onChange={(event) => change({ file: event.target.value })}
          />
        </div>
        <label className="field small">
          Stream
          <select
            className="in"
            value={parser.stream}
            onChange={(event) => change({ stream: event.target.value as Parser["stream"] })}
          >
            <option value="">both</option>
            <option value="out">stdout</option>
            <option value="err">stderr</option>
          </select>
        </label>
        <label className="field small">
          Lines at once
          <input
            className="in"
            type="number"
            min={1}
            max={100}
            value={parser.lines}
            onChange={(event) =>
              change({ lines: Math.max(1, Math.min(100, Number(event.target.value) || 1)) })
            }
          />
        </label>
      </div>
      {sample.error && settled.pattern ? <ProblemNote error={sample.error} /> : null}
      {sample.data && !sample.error ? (
        <>
          <p className="small" role="status">
            <b>{plural(sample.data.found, "row")}</b> in {count(sample.data.read)} of{" "}
            {plural(sample.data.total, "line")}
            {groups ? "" : ". Name a group to make a column of it: (?P<frame>\\d+)"}
          </p>
          {sample.data.rows.length ? (
            <div className="chart-table">
              <table className="tbl">
                <thead>
                  <tr>
                    <th className="num">Line</th>
                    {sample.data.header.map((name) => (
                      <th key={name}>{name}</th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {sample.data.rows.map((row) => (
                    <tr key={`${row.line}-${row.path}`}>
                      <td className="num">{count(row.line + 1)}</td>
                      {row.fields.map((value, at) => (
                        <td key={sample.data.header[at]} className="mono">
                          {value}
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          ) : null}
        </>
      ) : null}
      {save.error ? <ProblemNote error={save.error} /> : null}
      {save.isSuccess ? (
        <Note icon="check">
          It is in {id} now. Charts find the table as <code>.log_parser_output/{parser.file}</code>, of stages
          that have ended too.
        </Note>
      ) : null}
      <div className="row">
        <span className="small m2">Reads this project's logs of {id}, those that have ended as well.</span>
        <span className="grow" />
        <Button small onClick={onClose}>
          Close
        </Button>
        {editable ? (
          <Button
            small
            look="primary"
            busy={save.isPending}
            disabled={!groups || !!sample.error || save.isSuccess || parser !== settled}
            onClick={() => save.mutate()}
          >
            Save into {id}
          </Button>
        ) : null}
      </div>
    </section>
  );
}
