export { ComparePage } from "./ComparePage.tsx";
export { EventsPage } from "./EventsPage.tsx";
export { HistoryPage } from "./HistoryPage.tsx";
