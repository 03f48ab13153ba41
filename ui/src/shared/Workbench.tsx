/** A pipeline as text beside the graph that it makes, checked by the server while one types; and what differs from what is
 *  kept. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { plural } from "@/design/format.ts";
import { Icon, Mark } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Panel, Skeleton } from "@/design/parts.tsx";
import { Diff } from "./Diff.tsx";
import type { Wish } from "./Editor.tsx";
import { compared, summed } from "./lines.ts";
import { PipelineGraph } from "./PipelineGraph.tsx";
import { proposal, type Schema } from "./yaml/language.ts";
import { moved, stageAt, stageSpot } from "./yaml/marks.ts";
import type { Mistake } from "./yaml/support.ts";
import "./workbench.css";

const Editor = lazy(() => import("./Editor.tsx").then((m) => ({ default: m.Editor })));
const SETTLED = 400; // ms without a key before the text is checked

export function Workbench({
  text,
  kept,
  of,
  readOnly,
  bar,
  notice,
  side,
  onChange,
  onSave,
}: {
  text: string;
  /** what it is compared with; null: there is nothing yet */
  kept: { name: string; text: string } | null;
  /** whose folder of code is meant */
  of: Owner;
  readOnly: boolean;
  /** `wrong`: it cannot be saved as it is */
  bar: (wrong: boolean) => ReactNode;
  notice?: ReactNode;
  side?: ReactNode;
  onChange: (text: string) => void;
  onSave: () => void;
}) {
  const [chosen, setView] = useState<"edit" | "changes">("edit");
  const [wish, setWish] = useState<Wish | null>(null);
  const schema = useSchema();
  const { data: checked, error, settled } = useChecked(text, of);
  const before = useChecked(kept?.text ?? "", of).data?.pipeline?.stages;
  const sum = useMemo(() => (kept ? summed(compared(kept.text, text)) : ""), [kept, text]);
  const view = sum ? chosen : "edit"; // nothing is left to look at once it is saved
  const mistakes = useMemo(() => (checked ? mistakesIn(checked, settled) : []), [checked, settled]);
  const wrong = mistakes.filter((m) => m.severity === "error");

  // what was read last stays on screen while the text cannot be read
  const good = useRef<Stages | null>(null);
  if (checked?.pipeline) good.current = checked.pipeline.stages;
  const drawn = good.current;
  const marks = useMemo(() => {
    const ids = (severity: Mistake["severity"]) =>
      new Set(mistakes.filter((m) => m.severity === severity).map((m) => stageAt(settled, m)));
    return { wrong: ids("error"), warned: ids("warning"), ...moved(before, drawn ?? []) };
  }, [mistakes, settled, before, drawn]);
  const wished = (next: Wish) => {
    setView("edit");
    setWish(next);
  };
  return (
    <div className="workbench">
      <div className="workbench-main">
        <div className="row workbench-bar wrap">
          {bar(wrong.length > 0)}
          {kept ? (
            <div className="seg" role="group" aria-label="View">
              <button type="button" aria-pressed={view === "edit"} onClick={() => setView("edit")}>
                {readOnly ? "Text" : "Edit"}
              </button>
              <button
                type="button"
                aria-pressed={view === "changes"}
                disabled={!sum}
                title={sum || `as ${kept.name}`}
                onClick={() => setView("changes")}
              >
                {sum ? `Changes: ${sum}` : "No changes"}
              </button>
            </div>
          ) : null}
        </div>
        {notice}
        {view === "changes" && kept ? (
          <Diff before={kept.text} after={text} left={kept.name} right="yours" />
        ) : (
          <Suspense fallback={<Skeleton rows={12} height={20} />}>
            <Editor
              text={text}
              readOnly={readOnly}
              mistakes={mistakes}
              about={settled}
              schema={schema}
              wish={wish}
              onChange={onChange}
              onSave={() => !wrong.length && onSave()}
            />
          </Suspense>
        )}
      </div>
      <aside className="workbench-side" aria-label="What it makes">
        <Panel
          title="Graph"
          about={
            drawn
              ? checked?.pipeline
                ? plural(drawn.length, "stage")
                : "as it could be read last"
              : "drawn as soon as it can be read"
          }
        >
          {drawn ? (
            <PipelineGraph
              stages={drawn.map((s) => ({ ...s, needs: s.needs ?? [] }))}
              marks={marks}
              stale={!checked?.pipeline}
              beside
              onPick={(id) => {
                const spot = stageSpot(text, id);
                if (spot) wished({ go: spot });
              }}
            />
          ) : null}
        </Panel>
        {error ? <ProblemNote error={error} /> : null}
        <Problems
          mistakes={mistakes}
          checked={!!checked}
          readOnly={readOnly}
          behind={settled !== text}
          onGo={(mistake) => wished({ go: mistake })}
          onCure={(mistake) => wished({ cure: mistake })}
        />
        {side}
      </aside>
    </div>
  );
}

/** A project, or a pipeline of the library. */
export type Owner = { project: string } | { pipeline: string };
type Checked = components["schemas"]["Checked"];
type Stages = NonNullable<Checked["pipeline"]>["stages"];

/** What the server says, with places; of a stage that no node could hold its resources are shown. */
function mistakesIn(checked: Checked, text: string): Mistake[] {
  return [
    ...(checked.errors ?? []).map((e): Mistake => ({ ...e, severity: "error" })),
    ...(checked.warnings ?? []).map((w): Mistake => {
      const spot = stageSpot(text, w.stage, "resources") ?? { line: 0, column: 0 };
      return { ...spot, hint: "", severity: "warning", message: `${w.stage} ${w.text}` };
    }),
  ];
}

function Problems({
  mistakes,
  checked,
  readOnly,
  behind,
  onGo,
  onCure,
}: {
  mistakes: Mistake[];
  checked: boolean;
  readOnly: boolean;
  /** the text is another one by now */
  behind: boolean;
  onGo: (mistake: Mistake) => void;
  onCure: (mistake: Mistake) => void;
}) {
  const errors = mistakes.filter((m) => m.severity === "error").length;
  const about = [
    errors ? plural(errors, "error") : "",
    mistakes.length - errors ? plural(mistakes.length - errors, "warning") : "",
  ];
  return (
    <Panel title="Problems" about={<span role="status">{about.filter(Boolean).join(", ")}</span>}>
      {mistakes.length ? (
        <ul className="problems">
          {mistakes.map((m) => (
            <li key={`${m.line}-${m.column}-${m.message}`}>
              {m.severity === "error" ? (
                <span className="bad">
                  <Mark name="failed" label="Error" />
                </span>
              ) : (
                <span className="ask" role="img" aria-label="Warning">
                  <Icon name="warn" />
                </span>
              )}
              <span>
                {m.message}
                {m.hint ? <span className="small m2 hint">{m.hint}</span> : null}
                {m.line ? (
                  <button type="button" className="linky small" onClick={() => onGo(m)}>
                    line {m.line}, col {m.column}
                  </button>
                ) : null}
              </span>
              {proposal(m.hint) && !readOnly ? (
                <Button small disabled={behind} onClick={() => onCure(m)}>
                  Change
                </Button>
              ) : null}
            </li>
          ))}
        </ul>
      ) : (
        <p className="small m2">{checked ? "None. The server can read it." : "Being checked."}</p>
      )}
    </Panel>
  );
}

function useSchema(): Schema | undefined {
  return useQuery({
    queryKey: ["pipelines", "schema"],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/pipelines/schema", { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  }).data?.json_schema as Schema | undefined;
}

/** `settled`: the text that `data` is about. */
function useChecked(text: string, of: Owner) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLED);
    return () => clearTimeout(timer);
  }, [text]);
  const { data, error } = useQuery({
    queryKey: ["pipelines", "validate", of, settled],
    queryFn: async ({ signal }) => ({
      of: settled,
      told: await taken(
        api.POST("/api/v1/pipelines/validate", {
          body: { text: settled, project: "", pipeline: "", ...of },
          signal,
        }),
      ),
    }),
    enabled: !!settled,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
  });
  return { data: data?.told, settled: data?.of ?? settled, error };
}
