// Runs what a README shows; a handler of webhooks is sent a delivery, and one that is forged.
import { createHmac } from 'node:crypto';

const { POST } = await import(process.argv[2]);
if (POST) {
  const body = JSON.stringify({ type: 'job.completed', timestamp: new Date().toISOString(), data: { prUrl: 'https://example.com/pull/1' } });
  const stamp = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', process.env.WEBHOOK_SECRET).update(`dlv_1.${stamp}.${body}`).digest('base64');
  for (const mark of [signature, 'AAAA']) {
    const headers = { 'webhook-id': 'dlv_1', 'webhook-timestamp': String(stamp), 'webhook-signature': `v1,${mark}` };
    console.log((await POST(new Request('http://here/', { method: 'POST', body, headers }))).status);
  }
}
