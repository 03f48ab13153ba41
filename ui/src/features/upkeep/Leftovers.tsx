/** What nothing needs any more: how large it is, when it goes by itself, cleaned up at once, and taken back from the trash. */
import { type UseQueryResult, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import { bytes, clock, duration, plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Note, Panel, Skeleton } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { Ago, useNow } from "@/design/time.tsx";
import { Confirm } from "@/shared/Confirm.tsx";
import { may, numbered, type Project } from "@/shared/project.ts";
import { ended, type Left, type Operation, takeBack } from "./ask.ts";
import { sizeOf, whatGoes } from "./upkeep.ts";

const ROWS = 8; // the oldest

export function Leftovers({ project, leftovers }: { project: Project; leftovers: UseQueryResult<Left> }) {
  const now = useNow();
  const [doing, setDoing] = useState<Operation | null>(null);
  const [every, setEvery] = useState(false);
  const [asking, setAsking] = useState(false);
  const run = may(project, "run") && !project.trashed;
  const clean = useMutation({
    mutationFn: async () => {
      const begun = await taken(
        api.POST("/api/v1/projects/{project}/clean", { params: { path: { project: project.id } } }),
      );
      return ended(project.id, begun, setDoing);
    },
    onSettled: () => setDoing(null),
    onSuccess: () => setAsking(false),
  });
  const back = useMutation({
    mutationFn: (entry: string) => takeBack(project.id, entry, setDoing),
    onSettled: () => setDoing(null),
    onMutate: () => clean.reset(),
  });
  const data = leftovers.data;
  const items = data?.items ?? [];
  const trash = data?.trash ?? [];
  const forGood = data?.trash_days === 0; // what nobody could take back is asked about
  const busy = clean.isPending || back.isPending;
  const begin = () => {
    back.reset();
    clean.mutate();
  };
  const said = clean.data ?? back.data;
  return (
    <>
      <Panel title="What may go" about="left by stages that failed, were stopped, or were tried again">
        {leftovers.error ? (
          <ProblemNote error={leftovers.error} again={() => void leftovers.refetch()} />
        ) : null}
        {!data && !leftovers.error ? <Skeleton rows={2} height={32} /> : null}
        {clean.error || back.error ? <ProblemNote error={clean.error ?? back.error} /> : null}
        <div aria-live="polite">
          {said && !busy ? (
            <Note icon="check">{said.text.charAt(0).toUpperCase() + said.text.slice(1)}.</Note>
          ) : null}
        </div>
        {data && !items.length ? (
          <p className="row m2 upkeep-none">
            <Icon name="check" /> Nothing: whatever lies on the disk is needed, or is a result.
          </p>
        ) : null}
        {items.length ? (
          <>
            <div ref={sideways} className="scroll-x">
              <table className="tbl">
                <thead>
                  <tr>
                    <th>Stage</th>
                    <th>What</th>
                    <th className="wide-only">Of no use since</th>
                    <th>Goes by itself</th>
                    <th className="num">Size</th>
                  </tr>
                </thead>
                <tbody>
                  {(every ? items : items.slice(0, ROWS)).map((each) => (
                    <tr key={`${each.stage}/${each.attempt}/${each.why}`}>
                      <td className="what">
                        {each.id} <span className="m3">{numbered(each.stage)}</span>
                      </td>
                      <td className="m2">{each.why}</td>
                      <td className="m2 nowrap wide-only">
                        <Ago at={each.since} />
                      </td>
                      <td className="m2 nowrap">{goes(each.goes, now)}</td>
                      <td className="num">{each.bytes == null ? "not counted" : bytes(each.bytes)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {items.length > ROWS && !every ? (
              <Button small look="ghost" onClick={() => setEvery(true)}>
                {plural(items.length - ROWS, "more", "more")}
              </Button>
            ) : null}
            <div className="row wrap upkeep-do">
              <p className="m2 grow">
                Frees up to <b>{sizeOf(items)}</b>
                {forGood
                  ? " at once, and nobody can take them back."
                  : data?.trash_days == null
                    ? " once the trash is emptied."
                    : ` when the trash is emptied, after ${plural(data.trash_days, "day")}; until then it can be taken back.`}{" "}
                Results, outputs, logs and records stay.
              </p>
              {run ? (
                <Button
                  look={forGood ? "danger" : "primary"}
                  icon="trash"
                  busy={busy}
                  onClick={() => (forGood ? setAsking(true) : begin())}
                >
                  {doing
                    ? doing.state === "waiting"
                      ? "Waits for its turn"
                      : "Moving it"
                    : `Clean up ${whatGoes(items)}${forGood ? "…" : ""}`}
                </Button>
              ) : null}
            </div>
          </>
        ) : null}
      </Panel>
      {trash.length ? (
        <Panel title="Cleaned up" about="in the trash">
          <ul className="in-trash">
            {trash.map((each) => (
              <li key={each.entry}>
                <span className="grow">
                  {plural(each.directories, "directory", "directories")}
                  {each.bytes == null ? "" : `, ${bytes(each.bytes)}`}{" "}
                  <span className="m2">
                    {each.actor ? `by ${each.actor}` : "by itself"} <Ago at={each.at} />
                    {each.until ? `; deleted ${clock(Date.parse(each.until), now)}` : ""}
                  </span>
                </span>
                {run ? (
                  <Button
                    small
                    busy={busy}
                    aria-label={`Take back ${plural(each.directories, "directory", "directories")}`}
                    onClick={() => back.mutate(each.entry)}
                  >
                    Take back
                  </Button>
                ) : null}
              </li>
            ))}
          </ul>
        </Panel>
      ) : null}
      <Confirm
        opened={asking}
        title={`Delete ${whatGoes(items)}, ${sizeOf(items)}?`}
        word="delete"
        yes="Delete"
        no="Keep them"
        busy={busy}
        error={clean.error}
        onConfirm={begin}
        onClose={() => setAsking(false)}
      >
        The trash of this installation keeps nothing, so this cannot be undone. Results, outputs, logs and
        records stay.
      </Confirm>
    </>
  );
}

function goes(at: string | null | undefined, now: number): string {
  if (!at) return "never";
  const left = Date.parse(at) - now;
  return left <= 0 ? "soon" : `in ${duration(left)}`;
}
