/** Every address of the application. Pages are fetched when they are first gone to. */

import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { ApiProblem } from "@/api/problem.ts";
import { ProblemPage } from "@/design/Problem.tsx";
import type { CreateSearch } from "@/features/create";
import type { FilesSearch } from "@/features/files";
import type { InboxSearch } from "@/features/inbox";
import type { LogsSearch } from "@/features/logs";
import type { EditSearch, ShelfSearch } from "@/features/pipelines";
import type { ProjectsSearch } from "@/features/projects";
import type { RunSearch } from "@/features/run";
import type { StatisticsSearch } from "@/features/statistics";
import { queries } from "@/shared/queries.ts";
import { sessionQuery } from "@/shared/session.ts";
import { Shell } from "./Shell.tsx";

interface Context {
  queries: QueryClient;
}

declare module "@tanstack/react-router" {
  interface StaticDataRouteOption {
    /** The rail shows icons only. */
    slim?: boolean;
  }
  interface Register {
    router: typeof router;
  }
}

const root = createRootRouteWithContext<Context>()({ component: Outlet });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { to?: string } =>
    search.to ? { to: String(search.to) } : {},
  component: lazyRouteComponent(() => import("@/features/session"), "LogInPage"),
});

/** Everything for which one has to be logged in. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session) throw redirect({ to: "/login", search: { to: location.href } });
  },
});

const home = createRoute({
  getParentRoute: () => inside,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/projects" });
  },
});

const projects = createRoute({
  getParentRoute: () => inside,
  path: "/projects",
  validateSearch: (search: Record<string, unknown>): ProjectsSearch => ({
    ...(search.q ? { q: String(search.q) } : {}),
    ...(search.group ? { group: String(search.group) as ProjectsSearch["group"] } : {}),
    ...(search.sort ? { sort: String(search.sort) as ProjectsSearch["sort"] } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/projects"), "ProjectsPage"),
});

const create = createRoute({
  getParentRoute: () => inside,
  path: "/projects/new",
  validateSearch: (search: Record<string, unknown>): CreateSearch => ({
    ...(search.pipeline ? { pipeline: String(search.pipeline) } : {}),
    ...(search.example ? { example: String(search.example) } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/create"), "NewProjectPage"),
});

const project = createRoute({
  getParentRoute: () => inside,
  path: "/projects/$project",
  component: lazyRouteComponent(() => import("@/features/project"), "ProjectPage"),
});

const overview = createRoute({
  getParentRoute: () => project,
  path: "/",
  component: lazyRouteComponent(() => import("@/features/project"), "Overview"),
});

const logs = createRoute({
  getParentRoute: () => project,
  path: "/logs",
  staticData: { slim: true },
  validateSearch: (search: Record<string, unknown>): LogsSearch => ({
    ...numberOf(search, "stage"),
    ...numberOf(search, "attempt"),
    ...numberOf(search, "line"),
    ...(search.stream === "out" || search.stream === "err" ? { stream: search.stream } : {}),
    ...(search.find ? { find: String(search.find) } : {}),
    ...(search.regex ? { regex: true } : {}),
    ...(search.mark ? { mark: String(search.mark) } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/logs"), "LogsPage"),
});

const run = createRoute({
  getParentRoute: () => project,
  path: "/run",
  validateSearch: (search: Record<string, unknown>): RunSearch => ({
    ...numberOf(search, "redo"),
    ...numberOf(search, "change"),
    ...numberOf(search, "from"),
    ...(search.stage ? { stage: String(search.stage) } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/run"), "RunPage"),
});

const nodes = createRoute({
  getParentRoute: () => inside,
  path: "/nodes",
  component: lazyRouteComponent(() => import("@/features/nodes"), "NodesPage"),
});

const filesSearch = (search: Record<string, unknown>): FilesSearch => ({
  ...(search.path ? { path: String(search.path) } : {}),
  ...(search.file ? { file: String(search.file) } : {}),
  ...(search.sort ? { sort: String(search.sort) } : {}),
});

const files = createRoute({
  getParentRoute: () => project,
  path: "/files",
  staticData: { slim: true },
  validateSearch: filesSearch,
  component: lazyRouteComponent(() => import("@/features/files"), "ProjectFiles"),
});

const inputs = createRoute({
  getParentRoute: () => inside,
  path: "/inputs",
  validateSearch: filesSearch,
  component: lazyRouteComponent(() => import("@/features/files"), "InputsPage"),
});

const history = createRoute({
  getParentRoute: () => project,
  path: "/history",
  component: lazyRouteComponent(() => import("@/features/history"), "HistoryPage"),
});

const compare = createRoute({
  getParentRoute: () => project,
  path: "/compare",
  validateSearch: (search: Record<string, unknown>): { stages?: string } =>
    search.stages ? { stages: String(search.stages) } : {},
  component: lazyRouteComponent(() => import("@/features/history"), "ComparePage"),
});

const events = createRoute({
  getParentRoute: () => project,
  path: "/events",
  component: lazyRouteComponent(() => import("@/features/history"), "EventsPage"),
});

const inbox = createRoute({
  getParentRoute: () => inside,
  path: "/inbox",
  validateSearch: (search: Record<string, unknown>): InboxSearch =>
    search.at ? { at: String(search.at) } : {},
  component: lazyRouteComponent(() => import("@/features/inbox"), "InboxPage"),
});

const settings = createRoute({
  getParentRoute: () => inside,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/settings"), "SettingsPage"),
});

const profile = createRoute({
  getParentRoute: () => settings,
  path: "/",
  component: lazyRouteComponent(() => import("@/features/settings"), "Profile"),
});

const notifications = createRoute({
  getParentRoute: () => settings,
  path: "/notifications",
  component: lazyRouteComponent(() => import("@/features/settings"), "Notifications"),
});

const tokens = createRoute({
  getParentRoute: () => settings,
  path: "/tokens",
  component: lazyRouteComponent(() => import("@/features/settings"), "Tokens"),
});

const people = createRoute({
  getParentRoute: () => settings,
  path: "/people",
  component: lazyRouteComponent(() => import("@/features/settings"), "People"),
});

const groups = createRoute({
  getParentRoute: () => settings,
  path: "/groups",
  component: lazyRouteComponent(() => import("@/features/settings"), "Groups"),
});

const installation = createRoute({
  getParentRoute: () => settings,
  path: "/installation",
  component: lazyRouteComponent(() => import("@/features/settings"), "Installation"),
});

const audit = createRoute({
  getParentRoute: () => settings,
  path: "/audit",
  component: lazyRouteComponent(() => import("@/features/settings"), "Audit"),
});

const charts = createRoute({
  getParentRoute: () => project,
  path: "/charts",
  component: lazyRouteComponent(() => import("@/features/charts"), "ChartsPage"),
});

const environment = createRoute({
  getParentRoute: () => project,
  path: "/environment",
  validateSearch: (search: Record<string, unknown>): { stage?: number } => numberOf(search, "stage"),
  component: lazyRouteComponent(() => import("@/features/pipeline"), "EnvironmentPage"),
});

const pipeline = createRoute({
  getParentRoute: () => project,
  path: "/pipeline",
  staticData: { slim: true },
  component: lazyRouteComponent(() => import("@/features/pipeline"), "PipelineTab"),
});

const space = createRoute({
  getParentRoute: () => project,
  path: "/space",
  component: lazyRouteComponent(() => import("@/features/upkeep"), "SpacePage"),
});

const pipelines = createRoute({
  getParentRoute: () => inside,
  path: "/pipelines",
  component: lazyRouteComponent(() => import("@/features/pipelines"), "PipelinesPage"),
});

const edit = createRoute({
  getParentRoute: () => inside,
  path: "/pipelines/edit",
  staticData: { slim: true },
  validateSearch: (search: Record<string, unknown>): EditSearch => ({
    ...(search.name ? { name: String(search.name) } : {}),
    ...(search.example ? { example: String(search.example) } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/pipelines"), "EditPage"),
});

const pipelineOverview = createRoute({
  getParentRoute: () => inside,
  path: "/pipelines/$name",
  validateSearch: (search: Record<string, unknown>): ShelfSearch => ({
    ...numberOf(search, "version"),
    ...numberOf(search, "against"),
  }),
  component: lazyRouteComponent(() => import("@/features/pipelines"), "ShelfPage"),
});

const statistics = createRoute({
  getParentRoute: () => inside,
  path: "/statistics",
  validateSearch: (search: Record<string, unknown>): StatisticsSearch => ({
    ...numberOf(search, "days"),
    ...(typeof search.pipeline === "string" && search.pipeline ? { pipeline: search.pipeline } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/statistics"), "StatisticsPage"),
});

function numberOf<K extends string>(search: Record<string, unknown>, key: K): { [k in K]?: number } {
  const value = Number(search[key]);
  return (Number.isInteger(value) && value > 0 ? { [key]: value } : {}) as { [k in K]?: number };
}

const tree = root.addChildren([
  login,
  inside.addChildren([
    home,
    projects,
    create,
    inbox,
    inputs,
    nodes,
    pipelines,
    pipelineOverview,
    edit,
    statistics,
    settings.addChildren([profile, notifications, tokens, people, groups, installation, audit]),
    project.addChildren([
      overview,
      history,
      compare,
      events,
      logs,
      files,
      charts,
      environment,
      pipeline,
      space,
      run,
    ]),
  ]),
]);

const NOWHERE = new ApiProblem({ status: 404, code: "page", title: "This address leads to no page." });

export const router = createRouter({
  routeTree: tree,
  context: { queries },
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultErrorComponent: ({ error, reset }) => (
    <ProblemPage
      error={error}
      again={() => {
        reset();
        void router.invalidate();
      }}
    />
  ),
  defaultNotFoundComponent: () => <ProblemPage error={NOWHERE} />,
});
