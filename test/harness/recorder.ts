import { hostname } from 'node:os';

const recorder = `${process.pid}@${hostname()}`;

/** A history without who recorded it, who is no part of it: the SDK writes that as `identity`, and names the sticky queue after it. */
export const withoutRecorder = (history: string): string => history.replaceAll(recorder, 'recorder');
