/** A pipeline as text beside the graph that it makes, checked by the server while one types. */
import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { Note, Panel, Skeleton } from "@/design/parts.tsx";
import type { Mistake } from "./Editor.tsx";
import { PipelineGraph } from "./PipelineGraph.tsx";
import "./workbench.css";

const Editor = lazy(() => import("./Editor.tsx").then((m) => ({ default: m.Editor })));
const SETTLED = 400; // ms without a key before the text is checked

export function Workbench({
  text,
  project,
  readOnly,
  bar,
  side,
  onChange,
  onSave,
}: {
  text: string;
  /** whose folder of code is meant; empty: none */
  project: string;
  readOnly: boolean;
  /** `wrong`: it cannot be saved as it is */
  bar: (wrong: boolean) => ReactNode;
  side?: ReactNode;
  onChange: (text: string) => void;
  onSave: () => void;
}) {
  const checked = useChecked(text, project);
  const mistakes = useMemo(
    () =>
      [
        ...(checked.data?.errors ?? []).map((e): Mistake => ({ ...e, severity: "error" })),
        ...(checked.data?.warnings ?? []).map(
          (w): Mistake => ({
            line: 0,
            column: 0,
            hint: "",
            severity: "warning",
            message: (w as { text?: string }).text ?? "",
          }),
        ),
      ].filter((m) => m.message),
    [checked.data],
  );
  const wrong = mistakes.filter((m) => m.severity === "error");
  return (
    <div className="workbench">
      <div className="workbench-main">
        <div className="row workbench-bar wrap">{bar(wrong.length > 0)}</div>
        <Suspense fallback={<Skeleton rows={12} height={20} />}>
          <Editor
            text={text}
            readOnly={readOnly}
            mistakes={mistakes}
            onChange={onChange}
            onSave={() => !wrong.length && onSave()}
          />
        </Suspense>
      </div>
      <aside className="workbench-side">
        <Panel
          title="Graph"
          about={checked.data?.pipeline ? plural(checked.data.pipeline.stages.length, "stage") : ""}
        >
          {checked.data?.pipeline ? (
            <PipelineGraph
              stages={checked.data.pipeline.stages.map((s) => ({
                id: s.id,
                needs: s.needs ?? [],
                title: s.title ?? "",
              }))}
            />
          ) : (
            <p className="m2">It is drawn again as soon as it can be read.</p>
          )}
        </Panel>
        {mistakes.length ? (
          <Panel title={wrong.length ? plural(wrong.length, "problem") : "Notes"}>
            <ul className="problems">
              {mistakes.map((m) => (
                <li key={`${m.line}-${m.column}-${m.message}`}>
                  <Icon name={m.severity === "error" ? "warn" : "info"} />
                  <span>
                    {m.line ? <b>line {m.line}: </b> : null}
                    {m.message} <span className="m2">{m.hint}</span>
                  </span>
                </li>
              ))}
            </ul>
          </Panel>
        ) : checked.data ? (
          <Note icon="check">No problems.</Note>
        ) : null}
        {side}
      </aside>
    </div>
  );
}

function useChecked(text: string, project: string) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLED);
    return () => clearTimeout(timer);
  }, [text]);
  return useQuery({
    queryKey: ["pipelines", "validate", project, settled],
    queryFn: ({ signal }) =>
      taken(api.POST("/api/v1/pipelines/validate", { body: { text: settled, project }, signal })),
    enabled: !!settled,
    placeholderData: (old) => old,
  });
}
