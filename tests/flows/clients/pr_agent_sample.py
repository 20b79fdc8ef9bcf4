"""As the pr_agent document prints it, with a base of ours."""

import os

import requests
import sseclient

base = os.environ["BASE"]

# Execute task
response = requests.post(
    f"{base}/api/pr-agent/execute",
    json={"repo": "myorg/myrepo", "task": "add tests"},
)
data = response.json()

# Stream events
stream = requests.get(
    f"{base}{data['streamUrl']}",
    stream=True,
)
client = sseclient.SSEClient(stream)  # type: ignore[arg-type]  # as the document prints it

for event in client.events():
    print(event.data)
