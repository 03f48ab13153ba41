/** How much people may have in use at the same time: administrators change it row by row, everybody reads it as sentences. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { asProblem } from "@/api/problem.ts";
import type { components } from "@/api/schema";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Empty, Note, Tag } from "@/design/parts.tsx";
import { groupsQuery, usersQuery } from "@/shared/people.ts";
import { queries } from "@/shared/queries.ts";
import { useSession } from "@/shared/session.ts";
import { undoable } from "@/shared/undo.tsx";
import {
  AMOUNTS,
  type Kind,
  mixedUp,
  newRow,
  type Row,
  rowsOf,
  sentence,
  textOf,
  wrongRows,
} from "./limits.ts";

type Setting = components["schemas"]["Setting"];
const KINDS: [Kind, string][] = [
  ["person", "Person"],
  ["group", "Group"],
  ["everyone", "Everybody"],
];

async function send(limits: string | null): Promise<void> {
  await taken(api.PATCH("/api/v1/settings", { body: { values: { limits } } }));
  await queries.invalidateQueries({ queryKey: ["settings"] });
}

export function Limits({ setting }: { setting: Setting }) {
  const admin = useSession()?.role === "admin";
  const text = String(setting.value ?? "");
  return (
    <section className="wide" aria-labelledby="limits">
      <div className="row wrap">
        <h1 id="limits">Limits</h1>
        <Tag>{setting.origin}</Tag>
      </div>
      <p className="m2">
        How much somebody may have in use at the same time, in the whole cluster. What goes beyond it waits,
        says so, and others pass it; what runs is never stopped. A person’s own row counts, else the most
        generous one of the person’s groups, else that of everybody. A project’s own limit is set on its page{" "}
        <i>Limits and space</i>.
      </p>
      {admin ? (
        <Form text={text} changedHere={setting.origin === "store"} />
      ) : text ? (
        <ul className="limit-words">
          {rowsOf(text).map((row) => (
            <li key={row.id}>{sentence(row)}</li>
          ))}
        </ul>
      ) : (
        <p>Nobody is limited.</p>
      )}
    </section>
  );
}

function Form({ text, changedHere }: { text: string; changedHere: boolean }) {
  const [edited, setEdited] = useState<{ of: string; rows: Row[] } | null>(null);
  const [wrong, setWrong] = useState<Record<number, string>>({});
  const [last, setLast] = useState<{ of: string; rows: Row[] }>(() => ({ of: text, rows: rowsOf(text) }));
  if (last.of !== text) setLast({ of: text, rows: rowsOf(text) });
  const rows = edited?.rows ?? last.rows;
  const save = useMutation({ mutationFn: send });
  const changed = edited !== null && textOf(edited.rows) !== textOf(last.rows);
  const edit = (after: Row[], row?: Row) => {
    setEdited({ of: edited?.of ?? text, rows: after });
    save.reset();
    if (row) setWrong(({ [row.id]: _, ...others }) => others);
  };
  const forget = () => {
    setEdited(null);
    setWrong({});
    save.reset();
  };
  const set = (limits: string | null) => {
    const before = changedHere ? text : null;
    save.mutate(limits, {
      onSuccess: () => {
        forget();
        undoable("The limits were changed.", () => send(before), "limits");
      },
      onError: (error) => setWrong(wrongRows(asProblem(error).places, rows)),
    });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const mixed = Object.fromEntries(rows.map((row) => [row.id, mixedUp(row)]).filter(([, why]) => why));
    setWrong(mixed);
    if (!Object.keys(mixed).length) set(textOf(rows));
  };
  return (
    <form className="col gap" noValidate onSubmit={submit} aria-label="Limits">
      {rows.length ? (
        <ul className="limit-rows">
          {rows.map((row, index) => (
            <Fields
              key={row.id}
              row={row}
              number={index + 1}
              wrong={wrong[row.id] ?? ""}
              onChange={(after) =>
                edit(
                  rows.map((each) => (each.id === row.id ? after : each)),
                  row,
                )
              }
              onRemove={() =>
                edit(
                  rows.filter((each) => each.id !== row.id),
                  row,
                )
              }
            />
          ))}
        </ul>
      ) : (
        <Empty icon="resources" title="Nobody is limited">
          Whoever was served least comes next, and may use whatever is free.
        </Empty>
      )}
      {edited && edited.of !== text ? (
        <Note kind="ask" icon="warn">
          Somebody changed the limits meanwhile; they are <code>{text || "none"}</code> now. Saving replaces
          that.
        </Note>
      ) : null}
      {save.error && !Object.keys(wrong).length ? <ProblemNote error={save.error} /> : null}
      <div className="row wrap">
        <Button icon="plus" onClick={() => edit([...rows, newRow(rows.length ? "person" : "everyone")])}>
          Add a row
        </Button>
        {changed ? (
          <>
            <Button look="primary" type="submit" busy={save.isPending}>
              Save the limits
            </Button>
            <Button look="ghost" onClick={forget}>
              As they were
            </Button>
          </>
        ) : changedHere ? (
          <Button look="ghost" busy={save.isPending} onClick={() => set(null)}>
            Take back what was set here
          </Button>
        ) : null}
      </div>
    </form>
  );
}

function Fields({
  row,
  number,
  wrong,
  onChange,
  onRemove,
}: {
  row: Row;
  number: number;
  wrong: string;
  onChange: (after: Row) => void;
  onRemove: () => void;
}) {
  const about = `about-limit-${row.id}`;
  return (
    <li>
      <fieldset>
        <legend className="vh">Row {number}</legend>
        <label className="field">
          <span className="lbl">For</span>
          <select
            className="in"
            value={row.kind}
            onChange={(event) => onChange({ ...row, kind: event.target.value as Kind })}
          >
            {KINDS.map(([kind, word]) => (
              <option key={kind} value={kind}>
                {word}
              </option>
            ))}
          </select>
        </label>
        {row.kind === "everyone" ? (
          <span className="limit-all m2">whoever has no row</span>
        ) : (
          <Name row={row} wrong={wrong} about={about} onChange={(name) => onChange({ ...row, name })} />
        )}
        {AMOUNTS.map(({ name, word }) => (
          <label key={name} className="field">
            <span className="lbl">{word}</span>
            <input
              className="in"
              inputMode="decimal"
              placeholder="no limit"
              autoComplete="off"
              maxLength={30}
              value={row.amounts[name]}
              onChange={(event) =>
                onChange({ ...row, amounts: { ...row.amounts, [name]: event.target.value } })
              }
            />
          </label>
        ))}
        <Button look="ghost" icon="trash" aria-label={`Remove row ${number}`} onClick={onRemove} />
      </fieldset>
      <p id={about} className={wrong ? "err" : "help"} role={wrong ? "alert" : undefined}>
        {wrong ? `${wrong.replace(/\.$/, "")}.`.replace("?.", "?") : sentence(row)}
      </p>
    </li>
  );
}

/** Whoever is there is offered; a name may be given before its person or group is. */
function Name({
  row,
  wrong,
  about,
  onChange,
}: {
  row: Row;
  wrong: string;
  about: string;
  onChange: (name: string) => void;
}) {
  const users = useQuery(usersQuery);
  const groups = useQuery(groupsQuery);
  const offered =
    row.kind === "group"
      ? (groups.data?.items ?? []).map((group) => group.name)
      : (users.data?.items ?? []).filter((user) => user.active).map((user) => user.name);
  const list = `names-${row.id}`;
  return (
    <label className="field">
      <span className="lbl">Name</span>
      <input
        className="in"
        list={list}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={64}
        placeholder={row.kind === "group" ? "a group" : "log-in name"}
        value={row.name}
        aria-invalid={!!wrong}
        aria-describedby={about}
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={list}>
        {offered.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}
