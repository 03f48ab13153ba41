/** A failure on screen: what happened, what it means, a way on, and the id under which the log has the rest. */
import { type ApiProblem, asProblem } from "@/api/problem.ts";
import { Button, Note } from "./parts.tsx";

function details(problem: ApiProblem): string {
  const parts = [
    problem.requestId && `request ${problem.requestId}`,
    new Date().toISOString(),
    `code ${problem.code}`,
  ];
  return parts.filter(Boolean).join(", ");
}

export function ProblemPage({ error, again, title }: { error: unknown; again?: () => void; title?: string }) {
  const problem = asProblem(error);
  const anew = problem.code === "page.part" ? () => location.reload() : again;
  if (problem.status === 404) {
    return (
      <div className="problem" role="alert">
        <h1>There is nothing here</h1>
        <p>{problem.message}</p>
        <p className="m2">It may have been deleted, or it is not shared with you.</p>
        <p className="small m3">
          <code>{details(problem)}</code>
        </p>
        <div className="row">
          <a className="btn primary" href="/projects">
            To the projects
          </a>
        </div>
      </div>
    );
  }
  return (
    <div className="problem" role="alert">
      <h1>{title ?? (problem.status === 403 ? "This is not shared with you" : "This could not be shown")}</h1>
      <p>{problem.message}</p>
      {problem.hint ? <p className="m2">{problem.hint}</p> : null}
      <p className="small m3">
        <code>{details(problem)}</code>
      </p>
      <div className="row">
        {anew ? (
          <Button look="primary" onClick={anew}>
            {anew === again ? "Try again" : "Load the page anew"}
          </Button>
        ) : null}
        <Button
          icon="copy"
          onClick={() => navigator.clipboard.writeText(`${problem.message} ${details(problem)}`)}
        >
          Copy details
        </Button>
        <a className="btn ghost" href="/projects">
          To the projects
        </a>
      </div>
    </div>
  );
}

/** Beside a form or above a list: the old content stays. */
export function ProblemNote({ error, again }: { error: unknown; again?: () => void }) {
  const problem = asProblem(error);
  return (
    <Note
      kind="bad"
      icon="warn"
      action={
        again ? (
          <Button small onClick={again}>
            Try again
          </Button>
        ) : null
      }
    >
      <b>{problem.message}</b> {problem.hint}
      {problem.places.map((place) => (
        <p key={`${place.field}-${place.line}-${place.message}`} className="small">
          {place.field || (place.line ? `line ${place.line}` : "")}: {place.message} {place.hint}
        </p>
      ))}
      {problem.requestId ? <span className="small m3"> request {problem.requestId}</span> : null}
    </Note>
  );
}
