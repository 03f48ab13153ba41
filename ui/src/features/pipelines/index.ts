export { EditPage, type EditSearch } from "./EditPage.tsx";
export { PipelinesPage } from "./PipelinesPage.tsx";
export { ShelfPage, type ShelfSearch } from "./ShelfPage.tsx";
