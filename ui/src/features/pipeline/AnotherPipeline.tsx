/** The project takes another pipeline of the library, or another version of its own. */
import { Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Skeleton } from "@/design/parts.tsx";
import { shelvesQuery } from "@/shared/examples.ts";
import { type Project, projectQuery } from "@/shared/project.ts";

export function AnotherPipeline({ project, onTaken }: { project: Project; onTaken: () => void }) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <p>
        <Button small onClick={() => setAsking(true)}>
          Take another pipeline…
        </Button>
      </p>
      {asking ? (
        <Choice
          project={project}
          onClose={() => setAsking(false)}
          onTaken={() => {
            setAsking(false);
            onTaken();
          }}
        />
      ) : null}
    </>
  );
}

function Choice({
  project,
  onClose,
  onTaken,
}: {
  project: Project;
  onClose: () => void;
  onTaken: () => void;
}) {
  const client = useQueryClient();
  const shelves = useQuery(shelvesQuery);
  const items = shelves.data?.items ?? [];
  const [name, setName] = useState(project.pipeline.name);
  const shelf = items.find((each) => each.name === name) ?? items[0];
  const [version, setVersion] = useState(0); // 0: the newest
  const number = version || (shelf?.newest ?? 0);
  const take = useMutation({
    mutationFn: () =>
      taken(
        api.POST("/api/v1/projects/{project}/pipeline/switch", {
          params: { path: { project: project.id }, header: { "Idempotency-Key": newKey() } },
          body: { library: shelf?.name ?? "", version: number },
        }),
      ),
    onSuccess: async (after) => {
      client.setQueryData(projectQuery(project.id).queryKey, after);
      await client.invalidateQueries({ queryKey: ["project", project.id, "pipeline"] });
      onTaken();
    },
  });
  const goesOn = project.stages.length > 0 && !project.pause && !project.gates.length;
  const lost = project.pipeline.edited ? " What was changed in this project's own copy is lost." : "";
  return (
    <Modal opened onClose={onClose} title="Take another pipeline" centered>
      <div className="col gap">
        {shelves.error ? <ProblemNote error={shelves.error} again={() => void shelves.refetch()} /> : null}
        {shelves.data ? null : <Skeleton rows={2} height={44} />}
        {shelves.data && !shelf ? <p className="m2">The library has none yet.</p> : null}
        {shelf ? (
          <>
            <label className="field">
              <span className="lbl">Pipeline</span>
              <select
                className="in"
                value={shelf.name}
                onChange={(event) => {
                  setName(event.target.value);
                  setVersion(0);
                }}
              >
                {items.map((each) => (
                  <option key={each.name} value={each.name}>
                    {each.title ? `${each.title} (${each.name})` : each.name}
                  </option>
                ))}
              </select>
            </label>
            <label className="field">
              <span className="lbl">Version</span>
              <select
                className="in"
                value={number}
                onChange={(event) => setVersion(Number(event.target.value))}
              >
                {Array.from({ length: shelf.newest }, (_, at) => shelf.newest - at).map((each) => (
                  <option key={each} value={each}>
                    {each}
                    {each === shelf.newest ? ", the newest" : ""}
                  </option>
                ))}
              </select>
            </label>
            <p className="m2">
              What has run, runs or waits keeps the definition it has.{" "}
              {goesOn ? "What the new one begins with is lined up at once: the project is not paused." : ""}
              {lost}
            </p>
          </>
        ) : null}
        {take.error ? <ProblemNote error={take.error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Keep the present one</Button>
          <Button look="primary" disabled={!shelf} busy={take.isPending} onClick={() => take.mutate()}>
            Take {shelf ? `${shelf.name}@${number}` : "it"}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
