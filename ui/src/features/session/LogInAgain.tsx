/** When the session ends under an open page: log in on top of it, and what was typed stays. */
import { Modal } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";
import { logIn, logOut, useExpired, useSession } from "@/shared/session.ts";

export function LogInAgain() {
  const expired = useExpired((s) => s.expired);
  const session = useSession();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    try {
      await logIn({
        user: session?.user ?? "",
        password: String(new FormData(event.currentTarget).get("password")),
      });
      setError(null);
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  const leave = async () => {
    try {
      await logOut();
      location.assign("/login");
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <Modal
      opened={expired && session !== null}
      onClose={() => undefined}
      withCloseButton={false}
      title="Log in again"
      centered
    >
      <form onSubmit={submit} className="col gap">
        <p className="m2">Your session has ended. What you typed is kept.</p>
        {error ? <ProblemNote error={error} /> : null}
        <label className="field">
          <span className="lbl">Password of {session?.user}</span>
          <input className="in" name="password" type="password" autoComplete="current-password" required />
        </label>
        <div className="row end">
          <Button onClick={leave}>Log out</Button>
          <Button look="primary" type="submit" busy={busy}>
            Log in
          </Button>
        </div>
      </form>
    </Modal>
  );
}
