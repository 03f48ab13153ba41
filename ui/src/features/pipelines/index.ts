export { EditPage, type EditSearch } from "./EditPage.tsx";
export { PipelinesPage } from "./PipelinesPage.tsx";
