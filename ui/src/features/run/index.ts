export { RunPage, type RunSearch } from "./RunPage.tsx";
