import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findTool, optionalTools, unrunFiles } from './optional-tools.ts';

const file = optionalTools.chromium.files[0];
const report = (...statuses: string[]) => ({
  testResults: [{ name: `/anywhere/${file}`, assertionResults: statuses.map((status) => ({ status })) }],
});

describe('a test that needs a tool', () => {
  it('must have run where the tool is installed, and need not where it is not', () => {
    const isInstalled = (name: string) => name === 'chromium';
    const complaint = [`${file} did not run though chromium is installed`];
    expect(unrunFiles(report('passed', 'failed'), isInstalled)).toEqual([]);
    for (const results of [report('skipped'), report('passed', 'pending'), report(), { testResults: [] }]) {
      expect(unrunFiles(results, isInstalled)).toEqual(complaint);
      expect(unrunFiles(results, () => false)).toEqual([]);
    }
  });

  it('is declared in the one list, and what is declared exists', () => {
    const declared = Object.entries(optionalTools).flatMap(([name, { files }]) =>
      files.map((path) => `${name} ${path}`),
    );
    const using = globSync('test/**/*.test.ts').flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/\btoolFor\('(\w+)'\)/g)].map(([, name]) => `${name} ${path}`),
    );
    expect(using.toSorted()).toEqual(declared.toSorted());
    for (const { files } of Object.values(optionalTools)) for (const path of files) expect(existsSync(path)).toBe(true);
  });

  it('finds it where its variable says, else in PATH', () => {
    expect(findTool('chromium', { CHROMIUM_PATH: process.execPath, PATH: '' })).toBe(process.execPath);
    expect(findTool('chromium', { CHROMIUM_PATH: '/nowhere/chromium', PATH: '/usr/bin' })).toBeUndefined();
    expect(findTool('chromium', { PATH: '/nowhere' })).toBeUndefined();
  });
});
