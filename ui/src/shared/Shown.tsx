/** A file that helps to decide, shown as what it is: picture, video, table or text. `path` is relative to the project's stages. */
import { useQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { sideways } from "@/design/sideways.ts";
import { CsvTable } from "./CsvTable.tsx";
import { addressOf, kindOf } from "./files.ts";

const ROWS = 12;

function inside(path: string): string {
  return path.startsWith("stages/") || path.startsWith("output/") ? path : `stages/${path}`;
}

export function Shown({ project, path }: { project: string; path: string }) {
  const name = path.split("/").at(-1) ?? path;
  const space = `project:${project}`;
  const address = addressOf(space, inside(path), "preview");
  const kind = kindOf(name);
  return (
    <figure className="shown">
      {kind === "image" ? (
        <a href={address} target="_blank" rel="noreferrer">
          <img src={address} alt={name} loading="lazy" />
        </a>
      ) : kind === "video" ? (
        // biome-ignore lint/a11y/useMediaCaption: what a stage made of a street has no words
        <video src={address} controls preload="metadata" />
      ) : kind === "page" ? (
        <iframe src={address} title={name} sandbox="" />
      ) : (
        <Text space={space} path={inside(path)} table={kind === "table"} />
      )}
      <figcaption className="small m3">
        {name} ·{" "}
        <a className="in-text" href={addressOf(space, inside(path), "content")} download>
          download
        </a>
      </figcaption>
    </figure>
  );
}

function Text({ space, path, table }: { space: string; path: string; table: boolean }) {
  const { data, error } = useQuery({
    queryKey: ["text", space, path],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/files/{space}/text", {
          params: { path: { space }, query: { path, head: 200 } },
          signal,
        }),
      ),
  });
  if (error) return <ProblemNote error={error} />;
  if (!data) return <div className="shown-empty" />;
  if (!table) {
    const lines = data.text.split("\n").filter(Boolean);
    return <pre className="mono small">{lines.slice(0, 2 * ROWS).join("\n")}</pre>;
  }
  return (
    <div ref={sideways} className="scroll-x">
      <CsvTable
        text={data.text}
        whole={data.complete}
        rows={ROWS}
        separator={/\.tsv$/i.test(path) ? "\t" : ","}
      />
    </div>
  );
}
