export { type FilesSearch, InputsPage, ProjectFiles } from "./pages.tsx";
