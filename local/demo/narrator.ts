import { Problem } from '../problem.ts';

export interface Answer {
  status: number;
  body: unknown;
}

/** Tells what is done, shows each call with its real answer, and stops where an answer is not what the step promises. */
export interface Narrator {
  step(title: string): void;
  /** Shows one call and its answer, and answers the answer. Other than the `expected` status ends the demonstration. */
  shown(call: string, answer: Answer, expected: readonly number[]): Answer;
}

export function createNarrator(write: (text: string) => void): Narrator {
  let steps = 0;
  return {
    step(title) {
      steps += 1;
      write(`\n${steps}. ${title}\n`);
    },
    shown(call, answer, expected) {
      write(`   > ${call}\n   < ${answer.status}\n${indented(answer.body)}`);
      if (expected.includes(answer.status)) return answer;
      throw new Problem(`Expected ${expected.join(' or ')}, got ${answer.status}: this is not as it should be.`);
    },
  };
}

const MAX_LINES = 60;

function indented(body: unknown): string {
  if (body === undefined) return '';
  const lines = JSON.stringify(body, shorten, 2).split('\n');
  const cut =
    lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), `… (${lines.length - MAX_LINES} more lines)`] : lines;
  return `${cut.map((line) => `     ${line}`).join('\n')}\n`;
}

/** A screen is shared and recorded sooner than one thinks: of a token only the beginning is shown. */
function shorten(key: string, value: unknown): unknown {
  return key.endsWith('_token') && typeof value === 'string' ? `${value.slice(0, 8)}…` : value;
}
