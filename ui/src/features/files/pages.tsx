import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import type { State } from "@/design/state.tsx";
import { numbered, useProject } from "@/shared/project.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { Browser } from "./Browser.tsx";
import { FIRST, type Order, orderOf } from "./order.ts";

export interface FilesSearch {
  path?: string;
  file?: string;
  /** what the list is ordered by; backwards with a "-" */
  sort?: string;
}

/** No more than the address has to say. */
function tidy(path: string, order: Order, file?: string): FilesSearch {
  return {
    ...(path ? { path } : {}),
    ...(file ? { file } : {}),
    ...(order === FIRST ? {} : { sort: order }),
  };
}

/** The files of one project. */
export function ProjectFiles() {
  const { project } = useParams({ from: "/inside/projects/$project" });
  const { path = "", file = "", sort } = useSearch({ from: "/inside/projects/$project/files" });
  const navigate = useNavigate();
  const order = orderOf(sort);
  const go = (search: FilesSearch) =>
    void navigate({ to: "/projects/$project/files", params: { project }, search });
  const stages = useProject(project).data?.stages;
  const states = useMemo(
    () =>
      new Map(
        (stages ?? []).map((each) => [`stages/${numbered(each.number)}-${each.id}`, each.state as State]),
      ),
    [stages],
  );
  return (
    <Browser
      space={`project:${project}`}
      root="project"
      states={states}
      path={path}
      file={file}
      empty="Files brought here are what the first stage begins with."
      order={order}
      onOrder={(next) => go(tidy(path, next, file))}
      onPath={(next, name) => go(tidy(next, order, name))}
    />
  );
}

/** The input pool: what stages read. */
export function InputsPage() {
  const { path = "", file = "", sort } = useSearch({ from: "/inside/inputs" });
  const navigate = useNavigate();
  const order = orderOf(sort);
  const go = (search: FilesSearch) => void navigate({ to: "/inputs", search });
  useTitle("Inputs");
  return (
    <>
      <TopBar>
        <b>Inputs</b>
      </TopBar>
      <h1 className="vh">Inputs</h1>
      <Browser
        space="inputs"
        root="inputs"
        path={path}
        file={file}
        empty="Drop a video here, or choose one. Every project can read it at /input."
        order={order}
        onOrder={(next) => go(tidy(path, next, file))}
        onPath={(next, name) => go(tidy(next, order, name))}
      />
    </>
  );
}
