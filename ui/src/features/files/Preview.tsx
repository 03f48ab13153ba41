/** A file beside the list: picture, video with seeking, table, report in a sandbox, text. */
import { useQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { bytes, count, plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Empty } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";
import { CsvTable } from "@/shared/CsvTable.tsx";
import { addressOf, hasTime, kindOf } from "@/shared/files.ts";
import type { Entry } from "./Browser.tsx";

const HEAD = 2_000; // lines
const ROWS = 200;

export function Preview({ space, entry, onClose }: { space: string; entry: Entry; onClose: () => void }) {
  const address = addressOf(space, entry.path, "preview");
  const kind = kindOf(entry.name);
  return (
    <aside className="f-preview" aria-label={entry.name}>
      <header className="row">
        <b className="trunc grow">{entry.name}</b>
        <a
          className="btn ghost sm icon"
          href={address}
          target="_blank"
          rel="noreferrer"
          aria-label="Open in a tab of its own"
        >
          <Icon name="external" />
        </a>
        <a className="btn ghost sm" href={addressOf(space, entry.path, "content")} download>
          Download
        </a>
        <Button small look="ghost" icon="x" aria-label="Close the preview" onClick={onClose} />
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard */}
      <section className="f-shown" aria-label="What is in it" tabIndex={0}>
        {kind === "image" ? (
          <img src={`${address}&tag=${encodeURIComponent(entry.tag)}`} alt={entry.name} />
        ) : kind === "video" ? (
          // biome-ignore lint/a11y/useMediaCaption: what a camera saw has no words
          <video src={address} controls preload="metadata" />
        ) : kind === "page" ? (
          <iframe src={address} title={entry.name} sandbox="" />
        ) : kind === "other" ? (
          <Empty icon="file" title="No preview of this kind">
            It can be downloaded.
          </Empty>
        ) : (
          <Words
            space={space}
            path={entry.path}
            tag={entry.tag}
            table={kind === "table"}
            separator={/\.tsv$/i.test(entry.name) ? "\t" : ","}
          />
        )}
      </section>
      <dl className="kv small">
        <dt>Size</dt>
        <dd>
          {entry.bytes < 1024
            ? plural(entry.bytes, "byte")
            : `${bytes(entry.bytes)} (${count(entry.bytes)} bytes)`}
        </dd>
        {hasTime(entry) && (
          <>
            <dt>Changed</dt>
            <dd>
              <Ago at={entry.modified} />
            </dd>
          </>
        )}
        <dt>Path</dt>
        <dd className="mono">{entry.path}</dd>
        {entry.link ? (
          <>
            <dt>Link to</dt>
            <dd className="mono">{entry.link}</dd>
          </>
        ) : null}
      </dl>
    </aside>
  );
}

function Words({
  space,
  path,
  tag,
  table,
  separator,
}: {
  space: string;
  path: string;
  tag: string;
  table: boolean;
  separator: string;
}) {
  const { data, error } = useQuery({
    queryKey: ["text", space, path, tag],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/files/{space}/text", {
          params: { path: { space }, query: { path, head: HEAD } },
          signal,
        }),
      ),
    // while a file grows the last of it is shown until the next is there
    placeholderData: (before, query) =>
      query?.queryKey[1] === space && query.queryKey[2] === path ? before : undefined,
  });
  if (error) return <ProblemNote error={error} />;
  if (!data) return null;
  if (!table) {
    return (
      <>
        <pre className="mono small">{data.text}</pre>
        {data.complete ? null : (
          <p className="small m3">
            The first {bytes(data.bytes)} of {bytes(data.size)}.
          </p>
        )}
      </>
    );
  }
  return <CsvTable text={data.text} whole={data.complete} rows={ROWS} separator={separator} />;
}
