import { randomUUID } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import { temporal } from '@temporalio/proto';

// The server's own time skipping has no option in the SDK yet: this is the one place that knows how to ask for it.
// It is per workflow, so that plain workflows keep real time beside the skipped ones on the same server.
const { StartWorkflowExecutionRequest, SignalWithStartWorkflowExecutionRequest, ExecuteMultiOperationRequest } =
  temporal.api.workflowservice.v1;
const service = '/temporal.api.workflowservice.v1.WorkflowService/';
type Skippable = { timeSkippingConfig?: unknown };

const withSkipping = (path: string, bytes: Uint8Array, enabled: boolean): Uint8Array => {
  const config = { enabled };
  const patch = (message: Skippable) => Object.assign(message, { timeSkippingConfig: config });
  switch (path) {
    case `${service}StartWorkflowExecution`:
      return StartWorkflowExecutionRequest.encode(patch(StartWorkflowExecutionRequest.decode(bytes))).finish();
    case `${service}SignalWithStartWorkflowExecution`:
      return SignalWithStartWorkflowExecutionRequest.encode(
        patch(SignalWithStartWorkflowExecutionRequest.decode(bytes)),
      ).finish();
    case `${service}ExecuteMultiOperation`: {
      const message = ExecuteMultiOperationRequest.decode(bytes);
      for (const operation of message.operations ?? []) if (operation.startWorkflow) patch(operation.startWorkflow);
      return ExecuteMultiOperationRequest.encode(message).finish();
    }
    default:
      return bytes;
  }
};

/**
 * A client whose workflows do not wait for their timers. `at-once`: a timer fires as soon as nothing is in flight;
 * `on-demand`: only when `fastForward` says so.
 */
export async function skippingClient(address: string, mode: 'at-once' | 'on-demand'): Promise<Client> {
  const skip: grpc.Interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      sendMessage: (bytes: Uint8Array, next) =>
        next(Buffer.from(withSkipping(options.method_definition.path, bytes, mode === 'at-once'))),
    });
  const connection = await Connection.connect({
    address,
    interceptors: [skip, makeGrpcRetryInterceptor(defaultGrpcRetryOptions())],
  });
  return new Client({ connection, namespace: 'default' });
}

/** Moves one workflow's time forward, firing its timers on the way. */
export async function fastForward(client: Client, workflowId: string, seconds: number): Promise<void> {
  await client.workflowService.updateWorkflowExecutionOptions({
    namespace: 'default',
    workflowExecution: { workflowId },
    updateMask: { paths: ['time_skipping_config'] },
    workflowExecutionOptions: {
      timeSkippingConfig: { enabled: true, fastForwardConfig: { id: randomUUID(), duration: { seconds } } },
    } as never,
  });
}
