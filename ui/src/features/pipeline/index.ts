export { EnvironmentPage } from "./EnvironmentPage.tsx";
export { PipelineTab } from "./PipelineTab.tsx";
