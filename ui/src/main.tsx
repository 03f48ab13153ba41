import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { lazy, type ReactNode, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { router } from "./app/router.tsx";
import { schemes } from "./app/scheme.ts";
import { theme, variables } from "./app/theme.ts";
import { queries } from "./shared/queries.ts";
import { sessionQuery } from "./shared/session.ts";
import "@fontsource-variable/inter/wght.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "@mantine/core/styles.layer.css";
import "@mantine/notifications/styles.layer.css";
import "./design/tokens.css";
import "./design/base.css";

const Messages = lazy(() =>
  import("@mantine/notifications").then(
    ({ Notifications }): { default: () => ReactNode } => ({
      default: () => <Notifications position="bottom-right" autoClose={6000} />,
    }),
    () => ({ default: () => null }), // a page without messages is better than none
  ),
);

// what the page is made of comes while the server says who is asking
void queries.prefetchQuery(sessionQuery);
for (const route of router.getMatchedRoutes(location.pathname)[0])
  void router.loadRouteChunk(route)?.catch(() => undefined);

const root = document.getElementById("root");
if (!root) throw new Error("The page has no place to draw in.");
createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={variables}
      colorSchemeManager={schemes}
      defaultColorScheme="auto"
    >
      <Suspense fallback={null}>
        <Messages />
      </Suspense>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
