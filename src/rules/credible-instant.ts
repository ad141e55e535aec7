/** Instants that somebody's clock may mean, in milliseconds since the epoch; what lies outside is a defect of its sender. */
export const EARLIEST = Date.parse('2000-01-01T00:00:00Z');
export const LATEST = Date.parse('2200-01-01T00:00:00Z');
