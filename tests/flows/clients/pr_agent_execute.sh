# As the pr_agent document prints it, with a base of ours.
# Execute task
JOB=$(curl -s -X POST $BASE/api/pr-agent/execute \
  -H "Content-Type: application/json" \
  -d '{"repo":"myorg/myrepo","task":"add tests"}')

JOB_ID=$(echo $JOB | jq -r '.jobId')

# Stream events
curl -N "$BASE/api/pr-agent/$JOB_ID/stream"
