// An agent's client as the orchestrator document teaches it for Node: its own token, axios, and nothing of ours.

const axios = require('axios');
const jwt = require('jsonwebtoken');
const { randomUUID } = require('crypto');

const TIMEOUT = 10000;

class OrchestratorClient {
  constructor(baseUrl, secret, agentId, role = 'agent') {
    this.baseUrl = baseUrl;
    this.agentId = agentId;
    const now = Math.floor(Date.now() / 1000);
    this.token = jwt.sign({ sub: agentId, role, exp: now + 24 * 60 * 60, iat: now }, secret, { algorithm: 'HS256' });
  }

  options(more = {}) {
    return { headers: { Authorization: `Bearer ${this.token}` }, timeout: TIMEOUT, ...more };
  }

  async createTask(type, payload, priority = 'P2', more = {}) {
    return (await axios.post(`${this.baseUrl}/tasks`, { type, payload, priority, ...more }, this.options())).data;
  }

  async getTask(taskId) {
    return (await axios.get(`${this.baseUrl}/tasks/${taskId}`, this.options())).data;
  }

  // The document sends null as the body of a PATCH, and everything in the query.
  async updateTaskStatus(taskId, status, error = null) {
    const params = error ? { status, error } : { status };
    return (await axios.patch(`${this.baseUrl}/tasks/${taskId}/status`, null, this.options({ params }))).data;
  }

  async publishEvent(eventType, payload, taskId = null) {
    const body = { event_type: eventType, source_agent: this.agentId, payload, task_id: taskId };
    return (await axios.post(`${this.baseUrl}/events/publish`, body, this.options())).data;
  }

  async publishBareEvent(eventType, traceId) {
    const body = { event_type: eventType, source_agent: 'dev_agent', trace_id: traceId };
    return (await axios.post(`${this.baseUrl}/events/publish`, body, this.options())).data;
  }

  async approve(approvalId) {
    return (await axios.post(`${this.baseUrl}/approvals/${approvalId}/approve`, null, this.options())).data;
  }

  async pendingTasks() {
    return (await axios.get(`${this.baseUrl}/stats`, { timeout: TIMEOUT })).data.queue.pending_tasks;
  }
}

async function work(baseUrl, secret) {
  const client = new OrchestratorClient(baseUrl, secret, 'dev-agent-1');
  const trace = randomUUID();
  const task = await client.createTask('bugfix', { issue: '123' }, 'P2', { metadata: { trace_id: trace } });
  const moved = await client.updateTaskStatus(task.task_id, 'in_progress');
  const event = await client.publishEvent('task.started', { task_id: task.task_id });
  const about = await client.publishEvent('task.noted', {}, task.task_id);
  const bare = await client.publishBareEvent('task.started', trace);
  const failed = await client.updateTaskStatus(task.task_id, 'failed', 'no disk');
  const gated = await client.createTask('deployment', { environment: 'production' }, 'P0');
  const approved = await new OrchestratorClient(baseUrl, secret, 'agent-user').approve(gated.approval_id);
  const missing = await client.getTask('task_abc123').then(() => 200, (error) => error.response.status);
  const read = await client.getTask(task.task_id);
  return { task, moved, events: [event, about, bare], failed, gated, approved, missing, read, pending: await client.pendingTasks() };
}

work(process.argv[2], process.argv[3]).then((said) => console.log(JSON.stringify(said)));
