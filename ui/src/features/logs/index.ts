export { LogsPage, type LogsSearch } from "./LogsPage.tsx";
