/** Something that `npm start` raises and has to end again. */
export interface Part {
  /** For a person, in the middle of a sentence: "the worker". */
  title: string;
  /** Answers when it is ready for use. When `signal` fires first, it leaves nothing running and throws. */
  raise(signal: AbortSignal): Promise<Raised>;
  /** Where its last words are found. */
  logFile: string;
}

export interface Raised {
  /** Settles when it has ended, whoever ended it, with how it did. */
  ended: Promise<string>;
  /** Lets it finish what it has begun; answers when it has ended. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}

export function atSentenceStart(title: string): string {
  return title.charAt(0).toUpperCase() + title.slice(1);
}
