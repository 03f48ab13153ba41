export { ProjectsPage, type ProjectsSearch } from "./ProjectsPage.tsx";
