/** What the editor knows of a pipeline's language beyond its schema: variables that every stage has, functions of conditions. */

/** What a program finds, as the guide to writing pipelines says. */
export const OWN_VARIABLES: Record<string, string> = {
  WINSLOW_INPUT: "Folder of the input pool, read-only.",
  WINSLOW_PIPELINE: "Folder of the pipeline with its code, read-only; not set for a single file.",
  WINSLOW_WORKSPACE: "Its workspace: starts as a copy of the one it continues from.",
  WINSLOW_OUTPUT: "Folder for results: what people see and download.",
  WINSLOW_STAGES: "Folder with the output of each earlier stage, by its id, read-only.",
  WINSLOW_RESULTS: "File to append results to, as lines key=value.",
  WINSLOW_PROGRESS: "File to write the progress to: a number from 0 to 100.",
  WINSLOW_PROJECT: "Id of the project.",
  WINSLOW_PROJECT_NAME: "Name of the project.",
  WINSLOW_STAGE: "Id of the stage.",
  WINSLOW_STAGE_NUMBER: "Its number in the project.",
  WINSLOW_ATTEMPT: "Names this attempt: project, stage and attempt.",
};

export const OF_MATCH: Record<string, string> = {
  TIMESTAMP: "When the line was written.",
  SOURCE: "out or err.",
  LINE: "Number of the line, as in the log viewer.",
  MATCH: "All that was found.",
};

export const FUNCTIONS: Record<string, string> = {
  number: "A value as a number: number(values.MIN_AREA) > 300",
  min: "The least of its arguments.",
  max: "The greatest of its arguments.",
  abs: "Without its sign.",
  round: "To the nearest whole number.",
  len: "How long a text is.",
};
