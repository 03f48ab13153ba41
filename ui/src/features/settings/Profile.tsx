import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, useToken as keepToken, taken } from "@/api/client.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Note } from "@/design/parts.tsx";
import { useKeysWanted } from "@/shared/keys.ts";
import { queries } from "@/shared/queries.ts";
import { type Session, sessionQuery, useSession } from "@/shared/session.ts";

function keep(session: Session): void {
  if (session.csrf) keepToken(session.csrf);
  queries.setQueryData(sessionQuery.queryKey, session);
}

export function Profile() {
  const session = useSession();
  const keys = useKeysWanted();
  const profile = useMutation({
    mutationFn: (body: { display_name: string; email: string }) =>
      taken(api.PATCH("/api/v1/session", { body })),
    onSuccess: keep,
  });
  if (!session) return null;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    profile.mutate({
      display_name: String(form.get("display_name")).trim(),
      email: String(form.get("email")).trim(),
    });
  };
  return (
    <>
      <section>
        <h1>
          {session.display_name || session.user} <span className="m3">{session.role}</span>
        </h1>
        <form className="col gap" onSubmit={submit}>
          <label className="field">
            <span className="lbl">Name that others see</span>
            <input className="in" name="display_name" defaultValue={session.display_name} maxLength={100} />
          </label>
          <label className="field">
            <span className="lbl">E-mail</span>
            <input className="in" name="email" type="email" defaultValue={session.email} />
          </label>
          {profile.error ? <ProblemNote error={profile.error} /> : null}
          <div>
            <Button look="primary" type="submit" busy={profile.isPending}>
              {profile.isSuccess ? "Saved" : "Save"}
            </Button>
          </div>
        </form>
      </section>
      <Password session={session} />
      <section>
        <h2>Keyboard</h2>
        <label className="row">
          <input type="checkbox" checked={keys.on} onChange={(event) => keys.set(event.target.checked)} />
          Single keys, such as n for a new project
        </label>
      </section>
    </>
  );
}

function Password({ session }: { session: Session }) {
  const [typed, setTyped] = useState({ present: "", password: "", again: "" });
  const change = useMutation({
    mutationFn: () =>
      taken(
        api.PUT("/api/v1/session/password", { body: { password: typed.password, present: typed.present } }),
      ),
    onSuccess: (after) => {
      keep(after);
      setTyped({ present: "", password: "", again: "" });
    },
  });
  const differs = typed.again !== "" && typed.again !== typed.password;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!differs) change.mutate();
  };
  return (
    <section>
      <h2>Password</h2>
      <form className="col gap" onSubmit={submit}>
        {session.password && session.by !== "link" ? (
          <label className="field">
            <span className="lbl">Present password</span>
            <input
              className="in"
              type="password"
              autoComplete="current-password"
              required
              value={typed.present}
              onChange={(e) => setTyped({ ...typed, present: e.target.value })}
            />
          </label>
        ) : null}
        <label className="field">
          <span className="lbl">New password</span>
          <input
            className="in"
            type="password"
            autoComplete="new-password"
            required
            minLength={8}
            value={typed.password}
            onChange={(e) => setTyped({ ...typed, password: e.target.value })}
          />
        </label>
        <label className="field">
          <span className="lbl">Once more</span>
          <input
            className="in"
            type="password"
            autoComplete="new-password"
            required
            aria-invalid={differs}
            value={typed.again}
            onChange={(e) => setTyped({ ...typed, again: e.target.value })}
          />
          {differs ? <span className="err">The two are not the same.</span> : null}
        </label>
        {change.error ? <ProblemNote error={change.error} /> : null}
        {change.isSuccess ? <Note icon="check">It is changed. Your other sessions have ended.</Note> : null}
        <div>
          <Button type="submit" busy={change.isPending}>
            Set the password
          </Button>
        </div>
      </form>
    </section>
  );
}
