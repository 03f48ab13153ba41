/** Personal tokens for scripts: shown once, with what they may do and until when. */
import { Modal } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Note, Skeleton, Tag } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";
import { queries } from "@/shared/queries.ts";

type Scope = components["schemas"]["NewToken"]["scopes"][number];
const SCOPES: [Scope, string][] = [
  ["read", "see projects, logs, files"],
  ["run", "start, stop, redo, answer"],
  ["files", "bring, rename, delete files"],
  ["manage", "participants, pipelines, delete"],
];

export function Tokens() {
  const tokens = useQuery({
    queryKey: ["tokens"],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/tokens", { signal })),
  });
  const [scopes, setScopes] = useState<ReadonlySet<Scope>>(new Set(["read", "run", "files"]));
  const make = useMutation({
    mutationFn: (body: components["schemas"]["NewToken"]) => taken(api.POST("/api/v1/tokens", { body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["tokens"] }),
  });
  const end = useMutation({
    mutationFn: (token: string) =>
      taken(api.DELETE("/api/v1/tokens/{token}", { params: { path: { token } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["tokens"] }),
  });
  const [going, setGoing] = useState<components["schemas"]["TokenView"] | null>(null);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const days = Number(form.get("days"));
    make.mutate({ name: String(form.get("name")).trim(), scopes: [...scopes], days: days || null });
    event.currentTarget.reset();
  };
  return (
    <>
      <section>
        <h1>Tokens</h1>
        <p className="m2">For scripts and the command line, in place of your password.</p>
        {make.data ? (
          <Note
            kind="acc"
            icon="key"
            action={
              <Button small icon="copy" onClick={() => void navigator.clipboard.writeText(make.data.secret)}>
                Copy
              </Button>
            }
          >
            <b>It is shown this once:</b> <code>{make.data.secret}</code>
          </Note>
        ) : null}
        <form className="col gap" onSubmit={submit}>
          <div className="row wrap">
            <label className="field">
              <span className="lbl">What it is for</span>
              <input className="in" name="name" required maxLength={100} placeholder="nightly script" />
            </label>
            <label className="field">
              <span className="lbl">Ends after days; empty: never</span>
              <input className="in" name="days" type="number" min={1} max={3650} defaultValue={90} />
            </label>
          </div>
          <fieldset className="row wrap">
            <legend className="lbl">It may</legend>
            {SCOPES.map(([scope, words]) => (
              <label key={scope} className="row">
                <input
                  type="checkbox"
                  checked={scopes.has(scope)}
                  onChange={(event) => {
                    const next = new Set(scopes);
                    if (event.target.checked) next.add(scope);
                    else next.delete(scope);
                    setScopes(next);
                  }}
                />
                {words}
              </label>
            ))}
          </fieldset>
          {make.error ? <ProblemNote error={make.error} /> : null}
          <div>
            <Button look="primary" type="submit" busy={make.isPending} disabled={!scopes.size}>
              Make a token
            </Button>
          </div>
        </form>
      </section>
      <Modal opened={!!going} onClose={() => setGoing(null)} title={`Withdraw ${going?.name}?`} centered>
        <div className="col gap">
          <p>What uses it is refused from now on, and it cannot be brought back.</p>
          <div className="row end">
            <Button onClick={() => setGoing(null)}>Leave it</Button>
            <Button
              look="danger"
              onClick={() => {
                if (going) end.mutate(going.id);
                setGoing(null);
              }}
            >
              Withdraw it
            </Button>
          </div>
        </div>
      </Modal>
      <section className="wide">
        {tokens.error ? <ProblemPage error={tokens.error} again={() => void tokens.refetch()} /> : null}
        {!tokens.data && !tokens.error ? <Skeleton rows={3} height={32} /> : null}
        {end.error ? <ProblemNote error={end.error} /> : null}
        {tokens.data?.items.length === 0 ? <Empty icon="key" title="No tokens" /> : null}
        {tokens.data?.items.length ? (
          <table className="tbl">
            <thead>
              <tr>
                <th>Name</th>
                <th>It may</th>
                <th>Made</th>
                <th>Used</th>
                <th>Ends</th>
                <th>
                  <span className="vh">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {tokens.data.items.map((token) => (
                <tr key={token.id}>
                  <td>{token.name}</td>
                  <td>
                    {token.scopes.map((scope) => (
                      <Tag key={scope}>{scope}</Tag>
                    ))}
                  </td>
                  <td>
                    <Ago at={token.made} />
                  </td>
                  <td>{token.used ? <Ago at={token.used} /> : "never"}</td>
                  <td>{token.expires ? <Ago at={token.expires} /> : "never"}</td>
                  <td className="num">
                    <Button
                      small
                      look="danger"
                      aria-label={`Withdraw ${token.name}`}
                      onClick={() => setGoing(token)}
                    >
                      Withdraw
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : null}
      </section>
    </>
  );
}
