import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

export interface Engine {
  client: Client;
  /** Runs one workflow; resolves with how long it took, in milliseconds. */
  runOne(workflow?: 'empty' | 'oneActivity'): Promise<number>;
  stop(): Promise<void>;
}

/** A worker for the workflows that do nothing, on the same Temporal server. */
export async function startEngine(address: string): Promise<Engine> {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const native = await NativeConnection.connect({ address });
  const taskQueue = `yardstick-${randomUUID()}`;
  const worker = await Worker.create({
    connection: native,
    taskQueue,
    workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
    activities: { nothing: async () => undefined },
  });
  const running = worker.run();
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  return {
    client,
    async runOne(workflow = 'empty') {
      const began = performance.now();
      await client.workflow.execute(workflow, { taskQueue, workflowId: randomUUID() });
      return performance.now() - began;
    },
    async stop() {
      worker.shutdown();
      await running;
      await connection.close();
      await native.close();
    },
  };
}
