export { Audit } from "./Audit.tsx";
export { Installation } from "./Installation.tsx";
export { Notifications } from "./Notifications.tsx";
export { Groups, People } from "./People.tsx";
export { Profile } from "./Profile.tsx";
export { SettingsPage } from "./SettingsPage.tsx";
export { Tokens } from "./Tokens.tsx";
