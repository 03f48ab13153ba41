/** Mantine's parts in our colours: they take the tokens, so that there is one place for colours. */
import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

const accent: MantineColorsTuple = [
  "#ebf0fe",
  "#cfdcfb",
  "#adc5f8",
  "#8aaaf4",
  "#749af0",
  "#5580f3",
  "#3e6bea",
  "#2b59d9",
  "#2349b8",
  "#1c3fa3",
];
const dark: MantineColorsTuple = [
  "#e8eaed",
  "#b3bac4",
  "#8e97a3",
  "#69727f",
  "#383f49",
  "#252a31",
  "#1b1f25",
  "#121519",
  "#0f1216",
  "#0c0e11",
];

export const theme = createTheme({
  fontFamily: "var(--wn-sans)",
  fontFamilyMonospace: "var(--wn-mono)",
  fontSizes: { xs: "11px", sm: "12px", md: "13px", lg: "14px", xl: "16px" },
  defaultRadius: 6,
  primaryColor: "accent",
  primaryShade: { light: 7, dark: 6 },
  colors: { accent, dark },
  respectReducedMotion: true,
  cursorType: "pointer",
  focusRing: "auto",
  components: { Modal: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } } },
});

const shared = {
  "--mantine-color-text": "var(--wn-text)",
  "--mantine-color-body": "var(--wn-surface)",
  "--mantine-color-dimmed": "var(--wn-text-3)",
  "--mantine-color-placeholder": "var(--wn-text-3)",
  "--mantine-color-default": "var(--wn-surface)",
  "--mantine-color-default-hover": "var(--wn-hover)",
  "--mantine-color-default-color": "var(--wn-text)",
  "--mantine-color-default-border": "var(--wn-line-2)",
  "--mantine-color-error": "var(--wn-bad)",
  "--mantine-color-anchor": "var(--wn-accent-text)",
  "--mantine-color-disabled-color": "var(--wn-text-3)",
};

export const variables: CSSVariablesResolver = () => ({ variables: {}, light: shared, dark: shared });
