/** How the installation is set, and whether it is well. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton, Tag } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { queries } from "@/shared/queries.ts";
import { useSession } from "@/shared/session.ts";
import { Channels, Events, NotTaken } from "./Channels.tsx";
import { Limits } from "./Limits.tsx";
import { ofAllQuery, type What } from "./told.ts";
import { toSend, written } from "./values.ts";

type Setting = components["schemas"]["Setting"];

/** Ways by which a room of the team, or a program, is told of every project. */
function OfAll() {
  const told = useQuery(ofAllQuery);
  const change = useMutation({
    mutationFn: (events: What[]) =>
      taken(api.PUT("/api/v1/notifications/installation", { body: { events } })),
    onSuccess: (after) => queries.setQueryData(ofAllQuery.queryKey, after),
  });
  if (told.error) return <ProblemNote error={told.error} again={() => void told.refetch()} />;
  if (!told.data) return <Skeleton rows={2} height={40} />;
  return (
    <>
      <section className="wide" aria-labelledby="of-all">
        <h1 id="of-all">Notifications of all</h1>
        <p className="m2">
          These channels are told of every project, whoever it belongs to. Mail goes to people once{" "}
          <code>smtp_url</code> is set in <code>winslow.toml</code>: it may hold a password, so it is kept out
          of reach of browsers. Whom mail comes from, and where its links lead, is set below.
        </p>
        <div className="row wrap">
          <span className="lbl">They are told of</span>
          <Events
            label="What channels of all are told of"
            own={false}
            value={told.data.events}
            onChange={(events) => change.mutate(events ?? [])}
          />
        </div>
        {change.error ? <ProblemNote error={change.error} /> : null}
        <Channels whose="installation" channels={told.data.channels} />
      </section>
      <NotTaken whose="installation" messages={told.data.undelivered} />
    </>
  );
}

export function Installation() {
  const admin = useSession()?.role === "admin";
  const settings = useQuery({
    queryKey: ["settings"],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/settings", { signal })),
  });
  const doctor = useQuery({
    queryKey: ["doctor"],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/doctor", { signal })),
    staleTime: 30_000,
  });
  const all = settings.data?.items ?? [];
  const limits = all.find((setting) => setting.name === "limits");
  const others = all.filter((setting) => setting !== limits);
  return (
    <>
      <section className="wide" ref={sideways}>
        <h1>Is it well?</h1>
        {doctor.error ? <ProblemNote error={doctor.error} again={() => void doctor.refetch()} /> : null}
        {!doctor.data && !doctor.error ? <Skeleton rows={3} height={32} /> : null}
        <ul className="findings">
          {(doctor.data?.items ?? []).map((finding) => (
            <li key={`${finding.subject}-${finding.text}`} data-severity={finding.severity}>
              <Icon
                name={finding.severity === "ok" ? "check" : finding.severity === "note" ? "info" : "warn"}
              />
              <b>{finding.subject}</b>
              <span className="m2">
                {finding.text} {finding.fix ? <i>{finding.fix}</i> : null}
              </span>
            </li>
          ))}
        </ul>
      </section>
      {admin ? <OfAll /> : null}
      {limits ? <Limits setting={limits} /> : null}
      <section className="wide" ref={sideways}>
        <h1>Settings</h1>
        {settings.error ? <ProblemPage error={settings.error} again={() => void settings.refetch()} /> : null}
        {!settings.data && !settings.error ? <Skeleton rows={8} height={32} /> : null}
        <table className="tbl">
          <tbody>
            {others.map((setting) => (
              <Row key={setting.name} setting={setting} />
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

function Row({ setting }: { setting: Setting }) {
  const admin = useSession()?.role === "admin";
  const [typed, setTyped] = useState<string | null>(null);
  const save = useMutation({
    mutationFn: (value: unknown) =>
      taken(api.PATCH("/api/v1/settings", { body: { values: { [setting.name]: value } } })),
    onSuccess: async () => {
      setTyped(null);
      await queries.invalidateQueries({ queryKey: ["settings"] });
    },
  });
  const shown = written(setting.value);
  const simple = ["number", "text", "zone"].includes(setting.kind);
  return (
    <tr>
      <td>
        <span className="mono">{setting.name}</span>
        {setting.help ? <p className="m2 small">{setting.help}</p> : null}
      </td>
      <td>
        {!setting.changeable || !admin || (!simple && setting.kind !== "boolean") ? (
          <span className="mono lines">{shown || "–"}</span>
        ) : setting.kind === "boolean" ? (
          <input
            type="checkbox"
            aria-label={setting.name}
            checked={setting.value === true}
            onChange={(event) => save.mutate(event.target.checked)}
          />
        ) : (
          <span className="row">
            <input
              className="in narrow"
              aria-label={setting.name}
              value={typed ?? shown}
              onChange={(event) => setTyped(event.target.value)}
            />
            {typed !== null && typed !== shown ? (
              <Button small busy={save.isPending} onClick={() => save.mutate(toSend(setting.kind, typed))}>
                Save
              </Button>
            ) : null}
          </span>
        )}
        {save.error ? <ProblemNote error={save.error} /> : null}
      </td>
      <td>
        <Tag>{setting.origin}</Tag>
      </td>
    </tr>
  );
}
