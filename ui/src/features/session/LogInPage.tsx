/** The way in: name and password, or the link that `winslow up` prints. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";
import { logIn } from "@/shared/session.ts";

export function LogInPage() {
  const { to } = useSearch({ from: "/login" });
  const navigate = useNavigate();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const once = useRef(false);

  const enter = async (body: Parameters<typeof logIn>[0]) => {
    setBusy(true);
    setError(null);
    try {
      await logIn(body);
      await navigate({ to: inside(to), replace: true });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the link of the address is used once
  useEffect(() => {
    const link = location.hash.slice(1);
    if (!link || once.current) return;
    once.current = true;
    history.replaceState(null, "", location.pathname + location.search);
    void enter({ link });
  }, []);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    void enter({ user: String(form.get("user")), password: String(form.get("password")) });
  };

  return (
    <main className="log-in">
      <form onSubmit={submit} className="panel">
        <h1>Winslow</h1>
        <p className="m2">Long container pipelines on your team's machines.</p>
        {error ? <ProblemNote error={error} /> : null}
        <label className="field">
          <span className="lbl">Name</span>
          <input className="in" name="user" autoComplete="username" autoCapitalize="none" required />
        </label>
        <label className="field">
          <span className="lbl">Password</span>
          <input className="in" name="password" type="password" autoComplete="current-password" required />
        </label>
        <Button look="primary" type="submit" busy={busy}>
          Log in
        </Button>
        <p className="help">
          No password yet? <code>winslow up</code> prints a link that logs you in.
        </p>
      </form>
    </main>
  );
}

/** Only a path of this site: an address that somebody slipped in leads nowhere else. */
export function inside(to: string | undefined): string {
  return to?.startsWith("/") && !to.startsWith("//") && !to.includes("\\") ? to : "/projects";
}
