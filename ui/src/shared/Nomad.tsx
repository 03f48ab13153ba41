/** The way to Nomad's own pages, where they are known and can be reached from this browser. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { Icon } from "@/design/Icon.tsx";
import { reachable } from "./reachable.ts";

const aboutQuery = queryOptions({
  queryKey: ["about"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/about", { signal })),
  staleTime: 5 * 60_000,
});

/** "https://nomad.example.org/ui"; empty: there is none for this browser. */
export function useNomad(): string {
  const address = useQuery(aboutQuery).data?.nomad_ui ?? "";
  return reachable(address, location.hostname) ? address : "";
}

export function OpenInNomad({ href }: { href: string }) {
  if (!useNomad()) return null;
  return (
    <a className="btn sm" href={href} target="_blank" rel="noreferrer">
      <Icon name="external" />
      Open in Nomad
    </a>
  );
}
