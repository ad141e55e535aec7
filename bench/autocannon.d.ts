declare module 'autocannon' {
  interface Histogram {
    average: number;
    p50: number;
    p99: number;
  }
  interface Result {
    non2xx: number;
    errors: number;
    requests: Histogram;
    latency: Histogram;
  }
  interface Options {
    url: string;
    connections: number;
    duration: number;
    /** Requests a second, over all connections. */
    overallRate?: number;
    headers?: Record<string, string>;
    requests?: { method: 'GET' | 'POST'; path: string; body?: string }[];
  }
  export default function autocannon(options: Options): Promise<Result>;
}
