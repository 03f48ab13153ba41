export { Overview } from "./Overview.tsx";
export { ProjectPage } from "./ProjectPage.tsx";
