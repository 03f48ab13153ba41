export { SpacePage } from "./SpacePage.tsx";
