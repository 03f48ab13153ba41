/** A project's picture, from what its stages made; without one a field with its initials. */
import { useState } from "react";
import { initials } from "@/design/format.ts";

/** `path`: below the project's stages, as rows and projects name their pictures. */
export function pictureOf(project: string, path: string): string {
  const inside = encodeURIComponent(`stages/${path}`);
  return `/api/v1/files/project:${encodeURIComponent(project)}/preview?path=${inside}`;
}

export function Picture({
  project,
  path,
  name,
  width,
  height,
}: {
  project: string;
  path: string;
  name: string;
  width: number;
  height: number;
}) {
  const [broken, setBroken] = useState("");
  const style = { width, height };
  if (!path || broken === path) {
    return (
      <span className="thumb letters" style={style} aria-hidden="true">
        {initials(name)}
      </span>
    );
  }
  return (
    <img
      className="thumb"
      style={style}
      src={pictureOf(project, path)}
      alt=""
      loading="lazy"
      onError={() => setBroken(path)}
    />
  );
}
