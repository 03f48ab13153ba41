/** The frame of a project's pages: what it is, how it stands, what can be done, and the way to its parts. */
import { Link, Outlet, useLocation, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import { clock, duration, plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Avatar, Skeleton, Tag } from "@/design/parts.tsx";
import { type State, StateTag } from "@/design/state.tsx";
import { useNow } from "@/design/time.tsx";
import { useKeys } from "@/shared/keys.ts";
import { projectState } from "@/shared/look.ts";
import { Picture } from "@/shared/Picture.tsx";
import { type Project, useProject } from "@/shared/project.ts";
import { remember } from "@/shared/recent.ts";
import { useSession } from "@/shared/session.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { keepCurrentInView } from "@/shared/tabs.ts";
import { useTitle } from "@/shared/title.ts";
import { Actions } from "./Actions.tsx";
import "./project.css";

const TABS = [
  { to: "/projects/$project", word: "Overview" },
  { to: "/projects/$project/history", word: "History" },
  { to: "/projects/$project/logs", word: "Logs" },
  { to: "/projects/$project/files", word: "Files" },
  { to: "/projects/$project/charts", word: "Analysis" },
  { to: "/projects/$project/environment", word: "Environment" },
  { to: "/projects/$project/pipeline", word: "Pipeline" },
  { to: "/projects/$project/events", word: "Events" },
  { to: "/projects/$project/space", word: "Limits and space" },
] as const;

const TAGS = 8; // shown; the others are counted

export function ProjectPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project, error, refetch } = useProject(id);
  const me = useSession()?.user ?? "";
  const now = useNow();
  const navigate = useNavigate();
  const path = useLocation().pathname.replace(/\/$/, "");
  const base = `/projects/${id}`;
  useTitle(project?.name ?? "Project", project?.look);
  const to = (tab: (typeof TABS)[number]["to"]) => () => void navigate({ to: tab, params: { project: id } });
  useKeys(
    "Project",
    {
      "g o": { does: "Overview", act: to("/projects/$project") },
      "g h": { does: "History", act: to("/projects/$project/history") },
      l: { does: "Log", act: to("/projects/$project/logs") },
      "g f": { does: "Files", act: to("/projects/$project/files") },
      "g a": { does: "Analysis", act: to("/projects/$project/charts") },
      "g v": { does: "Environment", act: to("/projects/$project/environment") },
      "g y": { does: "Pipeline of the project", act: to("/projects/$project/pipeline") },
      "g e": { does: "Events", act: to("/projects/$project/events") },
      "g l": { does: "Limits and space", act: to("/projects/$project/space") },
    },
    1,
  );
  const name = project?.name;
  useEffect(() => {
    if (name) remember({ to: `/projects/${id}`, title: name, kind: "project" });
  }, [id, name]);
  const crumb = (
    <TopBar>
      <Link to="/projects">Projects</Link>
      <Icon name="cr" />
      <b className="trunc">{project?.name ?? id}</b>
      <span className="m3 mono small">{id}</span>
    </TopBar>
  );
  if (!project) {
    return (
      <>
        {crumb}
        <div className="page">
          {error ? <ProblemPage error={error} again={() => void refetch()} /> : <Skeleton rows={6} />}
        </div>
      </>
    );
  }
  const compact = path !== base;
  return (
    <>
      {crumb}
      {error ? <ProblemNote error={error} again={() => void refetch()} /> : null}
      {compact ? null : (
        <header className="head">
          <Picture project={id} path={project.thumbnail ?? ""} name={project.name} width={96} height={54} />
          <div className="row wrap head-name">
            <h1>{project.name}</h1>
            <StateTag soft {...look(project)} />
            {project.tags.slice(0, TAGS).map((tag) => (
              <Tag key={tag}>{tag}</Tag>
            ))}
            {project.tags.length > TAGS ? (
              <span className="small m3" title={project.tags.slice(TAGS).join(", ")}>
                and {plural(project.tags.length - TAGS, "more tag")}
              </span>
            ) : null}
          </div>
          <p className="m2">
            {[
              questions(project) || failures(project) || project.detail || sentence(project),
              project.expected ? `likely done about ${clock(Date.parse(project.expected), now)}` : "",
            ]
              .filter(Boolean)
              .join("; ")}
          </p>
          <Actions project={project} />
        </header>
      )}
      {compact ? <Actions project={project} hidden /> : null}
      <nav className="tabs" aria-label="Project" ref={keepCurrentInView}>
        {TABS.map((tab) => {
          const own = tab.to.replace("$project", id);
          const current = own === base ? path === base : path.startsWith(own);
          return (
            <Link
              key={tab.to}
              to={tab.to}
              params={{ project: id }}
              aria-current={current ? "page" : undefined}
              activeOptions={{ exact: own === base }}
            >
              {tab.word}
            </Link>
          );
        })}
        <span className="grow" />
        {compact ? <StateTag {...look(project)} /> : null}
        <span className="row small m3 about">
          {project.pipeline.name}
          {project.pipeline.version ? `@${project.pipeline.version}` : ""}
          {project.pipeline.edited ? ", edited" : ""} · by{" "}
          <Avatar name={project.author || "?"} me={project.author === me} /> {project.author}
        </span>
      </nav>
      <Outlet />
    </>
  );
}

/** As the list has it: what only waits for a machine does not run. */
function look(project: Project): { state: State; word: string } {
  const state = projectState(project);
  const is = (name: string) => project.stages.some((s) => s.state === name);
  if (state === "running" && !is("running") && is("submitted")) return { state: "submitted", word: "waits" };
  if (project.state !== "paused") return { state, word: project.word };
  if (project.pause?.kind === "impossible") return { state, word: "cannot start" };
  return { state, word: project.pause?.kind === "failure" ? "paused by a failure" : project.word };
}

/** Of several failures the first, and how many there are. */
function failures(project: Project): string {
  const open = project.failures.filter((f) => !f.acknowledged);
  if (project.pause?.kind !== "failure" || open.length < 2) return "";
  return `${open[0]?.message}, and ${plural(open.length - 1, "more failure")}`;
}

/** Of several questions the first, and how many there are: each stands below with its answers. */
function questions({ gates }: Project): string {
  return gates.length > 1 ? `${gates[0]?.question} And ${plural(gates.length - 1, "more question")}` : "";
}

/** Where it stands, where the server has nothing to add to the state. */
function sentence(project: Project): string {
  if (project.state === "idle") return "Nothing has been started yet.";
  const running = project.stages.filter((s) => s.state === "running");
  const [first] = running;
  if (first) {
    const where = running.length > 1 ? "" : ` on ${first.node}`;
    return `${running.length > 1 ? plural(running.length, "stage") : first.id} ${running.length > 1 ? "run" : "runs"}${where}`;
  }
  const waiting = project.stages.findLast(
    (s) => s.detail && ["submitted", "preparing", "queued"].includes(s.state),
  );
  if (waiting) return `${waiting.id} ${waiting.word} ${waiting.detail}`;
  const ended = project.stages.filter((s) => s.state === "succeeded");
  if (project.state === "succeeded" && ended.length) {
    const worked = ended.reduce((sum, s) => sum + (s.seconds ?? 0), 0);
    return `${plural(ended.length, "stage")}, ${duration(worked * 1000)} of work`;
  }
  return "";
}
