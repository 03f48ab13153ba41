export { type CreateSearch, NewProjectPage } from "./NewProjectPage.tsx";
