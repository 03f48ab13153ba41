export { StatisticsPage, type StatisticsSearch } from "./StatisticsPage.tsx";
