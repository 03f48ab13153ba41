/** What was deleted here and can be taken back, until the trash is emptied. */
import { Modal } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Empty, Skeleton } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";

export function takeBack(space: string, entry: string): Promise<unknown> {
  return taken(
    api.POST("/api/v1/files/{space}/trash/{entry}/restore", { params: { path: { space, entry } } }),
  );
}

export function Trash({
  space,
  onClose,
  onBack,
}: {
  space: string;
  onClose: () => void;
  onBack: () => Promise<void>;
}) {
  const trash = useQuery({
    queryKey: ["trash", space],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/files/{space}/trash", { params: { path: { space } }, signal })),
    gcTime: 0,
  });
  const back = useMutation({
    mutationFn: (entry: string) => takeBack(space, entry),
    onSettled: async () => {
      await trash.refetch();
      await onBack();
    },
  });
  return (
    <Modal opened onClose={onClose} title="Deleted files" size="lg" centered>
      {trash.error ? <ProblemNote error={trash.error} again={() => void trash.refetch()} /> : null}
      {back.error ? <ProblemNote error={back.error} /> : null}
      {!trash.data && !trash.error ? <Skeleton rows={3} height={36} /> : null}
      {trash.data && !trash.data.items.length ? (
        <Empty icon="trash" title="Nothing was deleted here">
          What is deleted stays here for some days.
        </Empty>
      ) : null}
      <ul className="trashed">
        {(trash.data?.items ?? []).map((each) => (
          <li key={each.id}>
            <span className="grow">
              {each.path}
              <span className="small m3">
                {each.actor ? `${each.actor}, ` : ""}
                <Ago at={each.at} />
              </span>
            </span>
            <Button small busy={back.isPending} onClick={() => back.mutate(each.id)}>
              Take back
            </Button>
          </li>
        ))}
      </ul>
    </Modal>
  );
}
