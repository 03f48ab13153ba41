import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { Browser } from "./Browser.tsx";

export interface FilesSearch {
  path?: string;
  file?: string;
}

function tidy(path: string, file?: string): FilesSearch {
  return { ...(path ? { path } : {}), ...(file ? { file } : {}) };
}

/** The files of one project. */
export function ProjectFiles() {
  const { project } = useParams({ from: "/inside/projects/$project" });
  const { path = "", file = "" } = useSearch({ from: "/inside/projects/$project/files" });
  const navigate = useNavigate();
  return (
    <Browser
      space={`project:${project}`}
      root="project"
      path={path}
      file={file}
      empty="Files brought here are what the first stage begins with."
      onPath={(next, name) =>
        void navigate({ to: "/projects/$project/files", params: { project }, search: tidy(next, name) })
      }
    />
  );
}

/** The input pool: what stages read. */
export function InputsPage() {
  const { path = "", file = "" } = useSearch({ from: "/inside/inputs" });
  const navigate = useNavigate();
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
        onPath={(next, name) => void navigate({ to: "/inputs", search: tidy(next, name) })}
      />
    </>
  );
}
