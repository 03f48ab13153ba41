/** What a person is told of, and by which ways. Everything is kept as it is clicked. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Note, Skeleton } from "@/design/parts.tsx";
import { allowed, askToTell, useTelling } from "@/shared/browser-notes.ts";
import { queries } from "@/shared/queries.ts";
import { useSession } from "@/shared/session.ts";
import { Channels, NotTaken, Test } from "./Channels.tsx";
import { EVENTS, toggled, toldQuery, WHICH } from "./told.ts";

export function Notifications() {
  const told = useQuery(toldQuery);
  const session = useSession();
  const change = useMutation({
    mutationFn: (body: components["schemas"]["Wishes"]) => taken(api.PUT("/api/v1/notifications", { body })),
    onSuccess: (after) => queries.setQueryData(toldQuery.queryKey, after),
  });
  if (told.error && !told.data) return <ProblemPage error={told.error} again={() => void told.refetch()} />;
  if (!told.data) return <Skeleton rows={5} height={40} />;
  const { events, which, own_actions, mail, mail_to, channels, undelivered } = told.data;
  const nodes = session?.role === "admin" || session?.role === "maintainer";
  return (
    <>
      <section>
        <h1>Notifications</h1>
        <fieldset className="col">
          <legend className="lbl">Tell me of</legend>
          {EVENTS.filter((event) => nodes || !event.node).map((event) => (
            <label key={event.what} className="row tick">
              <input
                type="checkbox"
                checked={events.includes(event.what)}
                onChange={() => change.mutate({ events: toggled(events, event.what) })}
              />
              {event.word} <span className="m2">{event.about}</span>
            </label>
          ))}
        </fieldset>
        <fieldset className="col">
          <legend className="lbl">Of which projects</legend>
          {WHICH.map((each) => (
            <label key={each.which} className="row tick">
              <input
                type="radio"
                name="which"
                checked={which === each.which}
                onChange={() => change.mutate({ which: each.which })}
              />
              {each.word}
            </label>
          ))}
          <p className="help">A single project is followed or silenced in its own menu.</p>
        </fieldset>
        <label className="row tick">
          <input
            type="checkbox"
            checked={own_actions}
            onChange={(event) => change.mutate({ own_actions: event.target.checked })}
          />
          Also what follows at once from what I did myself
        </label>
        {change.error ? <ProblemNote error={change.error} /> : null}
      </section>
      <section>
        <h2>In this browser</h2>
        <InBrowser />
      </section>
      <section>
        <h2>Mail</h2>
        <label className="row tick">
          <input
            type="checkbox"
            checked={mail}
            onChange={(event) => change.mutate({ mail: event.target.checked })}
          />
          {mail_to ? (
            <>
              to <b>{mail_to}</b>
            </>
          ) : (
            "by mail"
          )}
        </label>
        {mail_to ? (
          <div>
            <Test whose="own" channel="mail" />
          </div>
        ) : (
          <Note>
            {session?.email ? (
              <>
                No mail server is set.{" "}
                {session.role === "admin" ? (
                  <Link to="/settings/installation" className="in-text">
                    Set one
                  </Link>
                ) : (
                  "An administrator sets one."
                )}
              </>
            ) : (
              <>
                Your account has no mail address.{" "}
                <Link to="/settings" className="in-text">
                  Enter it
                </Link>
              </>
            )}
          </Note>
        )}
      </section>
      <section className="wide">
        <Channels whose="own" channels={channels} />
      </section>
      <NotTaken whose="own" messages={undelivered} />
    </>
  );
}

/** Asked for by a click only, and said plainly where the browser itself refuses. */
function InBrowser() {
  const { wanted, state } = useTelling();
  return (
    <>
      <p className="m2">
        While this tab is in the background: questions, failures and ends of my projects. A click on one leads
        there.
      </p>
      {state === "missing" ? (
        <Note>
          This browser shows none here: it wants an encrypted address (https), or this very machine.
        </Note>
      ) : state === "denied" ? (
        <Note kind="ask" icon="warn">
          The browser was told not to show any from here. It is changed at the lock or the sign before the
          address.
        </Note>
      ) : null}
      <div className="row wrap">
        <Button
          aria-pressed={wanted && allowed(state)}
          disabled={state === "missing" || state === "denied"}
          onClick={() => void askToTell(!(wanted && allowed(state)))}
        >
          {wanted && allowed(state) ? "They are shown" : "Show them"}
        </Button>
      </div>
    </>
  );
}
