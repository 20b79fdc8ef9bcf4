// As the pr_agent document prints it. Our package stands in for `pr-agent`, under its name.
import { executeTask, streamJob } from 'pr-agent/lib/api-client';

const { jobId, streamUrl } = await executeTask({
  repo: 'myorg/myrepo',
  task: 'add unit tests',
});

streamJob(streamUrl, {
  onStatus: (message, phase) => console.log(`[${phase}] ${message}`),
  onAgent: (event) => console.log(`Tool: ${event.tool}`),
  onResult: (result) => console.log(`PR: ${result.prUrl}`),
  onError: (error) => console.error(error),
});
