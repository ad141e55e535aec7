/** Progress and results for the person at the terminal. Standard output is left to what is meant to be piped on. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export type Say = (line: string) => void;
