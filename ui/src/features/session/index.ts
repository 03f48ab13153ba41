export { LogInAgain } from "./LogInAgain.tsx";
export { LogInPage } from "./LogInPage.tsx";
