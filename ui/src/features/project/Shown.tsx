/** A file that helps to decide, shown as what it is: picture, video, table or text. `path` is relative to the project's stages. */
import { useQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { ProblemNote } from "@/design/Problem.tsx";

const PICTURE = /\.(jpe?g|png|webp|gif|svg)$/i;
const VIDEO = /\.(mp4|webm|mov|mkv)$/i;
const PAGE = /\.html?$/i;
const ROWS = 12;

export function addressOf(project: string, path: string, kind: "preview" | "content" = "preview"): string {
  const inside = path.startsWith("stages/") || path.startsWith("output/") ? path : `stages/${path}`;
  return `/api/v1/files/project:${encodeURIComponent(project)}/${kind}?path=${encodeURIComponent(inside)}`;
}

export function Shown({ project, path }: { project: string; path: string }) {
  const name = path.split("/").at(-1) ?? path;
  const address = addressOf(project, path);
  return (
    <figure className="shown">
      {PICTURE.test(name) ? (
        <a href={address} target="_blank" rel="noreferrer">
          <img src={address} alt={name} loading="lazy" />
        </a>
      ) : VIDEO.test(name) ? (
        // biome-ignore lint/a11y/useMediaCaption: what a stage made of a street has no words
        <video src={address} controls preload="metadata" />
      ) : PAGE.test(name) ? (
        <iframe src={address} title={name} sandbox="" />
      ) : (
        <Text project={project} path={path} table={/\.csv$/i.test(name)} />
      )}
      <figcaption className="small m3">
        {name} ·{" "}
        <a className="in-text" href={addressOf(project, path, "content")} download>
          download
        </a>
      </figcaption>
    </figure>
  );
}

function Text({ project, path, table }: { project: string; path: string; table: boolean }) {
  const inside = path.startsWith("stages/") || path.startsWith("output/") ? path : `stages/${path}`;
  const { data, error } = useQuery({
    queryKey: ["text", project, inside],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/files/{space}/text", {
          params: { path: { space: `project:${project}` }, query: { path: inside, head: 4000 } },
          signal,
        }),
      ),
  });
  if (error) return <ProblemNote error={error} />;
  if (!data) return <div className="shown-empty" />;
  const lines = data.text.split("\n").filter(Boolean);
  if (!table) return <pre className="mono small">{lines.slice(0, 2 * ROWS).join("\n")}</pre>;
  const [head = [], ...rest] = lines.slice(0, ROWS + 1).map((line) => line.split(","));
  return (
    <div className="scroll-x">
      <table className="tbl small">
        <thead>
          <tr>
            {head.map((cell) => (
              <th key={cell}>{cell}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rest.map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a file have no other identity
            <tr key={at}>
              {row.map((cell, column) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: nor have its cells
                <td key={column}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
