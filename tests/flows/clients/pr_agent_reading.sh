# The document's other commands, one after the other, with a base and a job of ours.
curl -X POST $BASE/api/pr-agent/execute \
  -H "Content-Type: application/json" \
  -d '{
    "repo": "myorg/myrepo",
    "task": "add unit tests for the auth module",
    "branch": "main"
  }'
echo
curl $BASE/api/pr-agent/$JOB_ID
echo
curl -N $BASE/api/pr-agent/$JOB_ID/stream
