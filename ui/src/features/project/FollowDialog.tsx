/** What one wants to be told of this very project, whatever the own rules say otherwise. */
import { Modal } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Skeleton } from "@/design/parts.tsx";
import { EVENTS, toggled, type What } from "@/shared/events.ts";
import type { Project } from "@/shared/project.ts";
import { queries } from "@/shared/queries.ts";

const ALL = EVENTS.filter((event) => !event.node).map((event) => event.what);

export function FollowDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const queryKey = ["project", project.id, "told"];
  const path = { project: project.id };
  const told = useQuery({
    queryKey,
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}/notifications", { params: { path }, signal })),
  });
  const change = useMutation({
    mutationFn: (events: What[] | null) =>
      taken(api.PUT("/api/v1/projects/{project}/notifications", { params: { path }, body: { events } })),
    onSuccess: (after) => queries.setQueryData(queryKey, after),
  });
  const events = told.data?.events as What[] | null | undefined;
  const choices: { word: string; about: string; on: boolean; value: What[] | null }[] = [
    { word: "As my settings say", about: "", on: events === null, value: null },
    { word: "Follow it", about: "tell me of:", on: !!events?.length, value: ALL },
    { word: "Leave me alone", about: "nothing of it is told", on: events?.length === 0, value: [] },
  ];
  return (
    <Modal opened onClose={onClose} title={`What I am told of ${project.name}`} centered>
      <div className="col gap">
        {told.error ? <ProblemNote error={told.error} again={() => void told.refetch()} /> : null}
        {events === undefined && !told.error ? <Skeleton rows={3} height={30} /> : null}
        {events === undefined ? null : (
          <div role="radiogroup" aria-label="What I am told" className="col">
            {choices.map((choice) => (
              <label key={choice.word} className="row tick">
                <input
                  type="radio"
                  name="told"
                  checked={choice.on}
                  onChange={() => change.mutate(choice.value)}
                />
                {choice.word} <span className="m2">{choice.about}</span>
              </label>
            ))}
            {events?.length ? (
              <fieldset className="col told-of">
                {EVENTS.filter((event) => !event.node).map((event) => (
                  <label key={event.what} className="row tick">
                    <input
                      type="checkbox"
                      checked={events.includes(event.what)}
                      onChange={() => change.mutate(toggled(events, event.what))}
                    />
                    {event.word} <span className="m2">{event.about}</span>
                  </label>
                ))}
              </fieldset>
            ) : null}
          </div>
        )}
        {change.error ? <ProblemNote error={change.error} /> : null}
        <div className="row">
          <Link className="in-text grow" to="/settings/notifications">
            My settings
          </Link>
          <Button onClick={onClose}>Close</Button>
        </div>
      </div>
    </Modal>
  );
}
