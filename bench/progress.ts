/** Says on stderr what is going on; figures go to stdout. */
export type Progress = (message: string) => void;
