/** An installation that is empty shows what it can do: a pipeline, a video, and off it goes. Each step is one click, and says
 *  what it does. Where one was is known from what is there, so that a reload loses nothing. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import { plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Note, Skeleton } from "@/design/parts.tsx";
import { bringClip, type Example, examplesQuery, shelvesQuery, takeExample } from "./examples.ts";
import { addressOf } from "./files.ts";
import { projectQuery } from "./project.ts";
import { queries } from "./queries.ts";
import { send, useTransfers } from "./transfers.ts";
import "./first-run.css";

export function FirstRun() {
  const examples = useQuery(examplesQuery);
  const shelves = useQuery(shelvesQuery);
  const failed = examples.error ?? shelves.error;
  if (failed) return <ProblemPage error={failed} again={() => void examples.refetch()} />;
  if (!examples.data || !shelves.data) return <Skeleton rows={4} />;
  const example = examples.data.items.find((each) => each.code && each.clip);
  if (!example) return null;
  const shelf = shelves.data.items.find((each) => each.name === example.name);
  return <Steps example={example} version={shelf?.newest ?? 0} />;
}

function Steps({ example, version }: { example: Example; version: number }) {
  const navigate = useNavigate();
  const [picked, setPicked] = useState("");
  const [key] = useState(newKey);
  const there = useQuery({
    queryKey: ["files", "inputs", "entry", example.clip],
    queryFn: async ({ signal }) => {
      try {
        await taken(
          api.GET("/api/v1/files/{space}/info", {
            params: { path: { space: "inputs" }, query: { path: example.clip } },
            signal,
          }),
        );
        return true;
      } catch {
        return false;
      }
    },
  });
  const pipeline = useQuery({
    queryKey: ["pipelines", "named", example.name, "newest", version],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}", { params: { path: { name: example.name } }, signal })),
    enabled: version > 0,
  });
  const take = useMutation({ mutationFn: () => takeExample(example.name) });
  const bring = useMutation({ mutationFn: () => bringClip(example.name), onSuccess: setPicked });
  const own = useMutation({
    mutationFn: (file: File) => send("inputs", "", file),
    onSuccess: (path) => path && setPicked(path),
  });
  const video = picked || (there.data ? example.clip : "");
  const found = pipeline.data?.version.pipeline;
  const parameter = Object.entries(found?.parameters ?? {}).find(([, p]) => p.kind === "file");
  const first = found?.stages[0]?.id ?? "";
  const start = useMutation({
    mutationFn: () =>
      taken(
        api.POST("/api/v1/projects", {
          params: { header: { "Idempotency-Key": key } },
          body: {
            name: `First look: ${video.slice(video.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "")}`,
            pipeline: { library: example.name, version, text: "", project: "", folder: "" },
            values: parameter ? { [parameter[0]]: video } : {},
            secrets: {},
            tags: [],
            priority: 50,
            sweeps: {},
            driver: "",
            start: true,
          },
        }),
      ),
    onSuccess: async (made) => {
      queries.setQueryData(projectQuery(made.id).queryKey, made);
      await navigate({ to: "/projects/$project", params: { project: made.id } });
    },
  });
  const sending = useTransfers((s) => s.items.find((each) => each.state === "running"));
  const now = !version ? 1 : !video ? 2 : 3;
  return (
    <section className="first" aria-labelledby="first">
      <header>
        <h2 id="first">See it work, in three steps</h2>
        <p className="m2">
          Nothing has been run here yet. An example shows what a project is: a pipeline, a video, and what
          comes of it, in about a minute.
        </p>
      </header>
      {example.needs ? (
        <Note kind="ask" icon="warn">
          <b>Before it can run here:</b> {example.needs}.
        </Note>
      ) : null}
      <ol>
        <Step
          number={1}
          now={now}
          title="The pipeline"
          done={version > 0 ? `${example.name}@${version}` : ""}
        >
          <p>
            <b>{example.title}.</b> {example.description}
          </p>
          {found ? (
            <p className="small m2">
              {plural(found.stages.length, "stage")}: {found.stages.map((s) => s.id).join(" → ")}
            </p>
          ) : (
            <p className="small m2">
              It comes with Winslow, with the code that it runs. It can be changed later.
            </p>
          )}
          {take.error ? <ProblemNote error={take.error} /> : null}
          {version ? (
            <Link className="btn sm" to="/pipelines/edit" search={{ name: example.name }}>
              Look at it
            </Link>
          ) : (
            <Button look="primary" busy={take.isPending} onClick={() => take.mutate()}>
              Take the example
            </Button>
          )}
        </Step>
        <Step number={2} now={now} title="Its input" done={video}>
          {video ? (
            <video
              className="first-video"
              key={video}
              src={addressOf("inputs", video, "preview")}
              controls
              muted
              preload="metadata"
            />
          ) : (
            <p>
              A clip of ten seconds: bicycles in a street. Or a video of your own, best from a camera that
              stands still.
            </p>
          )}
          {bring.error ? <ProblemNote error={bring.error} /> : null}
          {own.error ? <ProblemNote error={own.error} /> : null}
          <div className="row wrap">
            {video ? null : (
              <Button
                look={now === 2 ? "primary" : "plain"}
                disabled={now < 2}
                busy={bring.isPending}
                onClick={() => bring.mutate()}
              >
                {bring.isPending ? "Fetching the clip" : "Use the sample clip"}
              </Button>
            )}
            <label className={`btn ${video ? "sm" : ""}`} aria-disabled={now < 2}>
              {own.isPending && sending
                ? `Bringing ${sending.name}`
                : video
                  ? "Another video"
                  : "Bring your own"}
              <input
                type="file"
                className="vh"
                accept={(parameter?.[1].accept ?? []).join(",")}
                disabled={now < 2 || own.isPending}
                onChange={(event) => {
                  const file = event.target.files?.[0];
                  if (file) own.mutate(file);
                }}
              />
            </label>
          </div>
        </Step>
        <Step number={3} now={now} title="Off it goes" done="">
          <p>
            You see each stage at work. Once the moving things are found it asks you whether they are right;
            then it counts, and draws a heat map and a report.
          </p>
          {start.error ? <ProblemNote error={start.error} /> : null}
          <Button
            look={now === 3 ? "primary" : "plain"}
            icon="play"
            disabled={now < 3 || !first}
            busy={start.isPending}
            onClick={() => start.mutate()}
          >
            {first ? `Start ${first}` : "Start"}
          </Button>
        </Step>
      </ol>
      <p className="m2">
        You know your way?{" "}
        <Link className="in-text" to="/projects/new" search={{}}>
          Make a project
        </Link>{" "}
        or{" "}
        <Link className="in-text" to="/pipelines/edit" search={{}}>
          write a pipeline
        </Link>
        .
      </p>
    </section>
  );
}

function Step({
  number,
  now,
  title,
  done,
  children,
}: {
  number: number;
  now: number;
  title: string;
  /** what came of it; empty: nothing yet */
  done: string;
  children: ReactNode;
}) {
  return (
    <li
      className="first-step"
      aria-current={now === number ? "step" : undefined}
      data-done={done ? "" : undefined}
    >
      <h3>
        <span className="first-n">{done ? <Icon name="check" /> : number}</span>
        {title}
        {done ? <span className="tag trunc">{done}</span> : null}
      </h3>
      {children}
    </li>
  );
}
