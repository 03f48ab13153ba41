export { InboxPage, type InboxSearch } from "./InboxPage.tsx";
