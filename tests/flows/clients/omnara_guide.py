"""The Python samples of the omnara guide as it prints them, with an address of ours in place of GitHub's: `trigger`, `token` or `runs`."""

import json
import os
import sys
import time

import jwt
import requests

GITHUB = os.environ["BASE"]


def trigger_omnara_workflow(
    owner: str,
    repo: str,
    installation_token: str,
    agent_instance_id: str,
    prompt: str,
    omnara_api_key: str,
    branch_name: str = None,  # noqa: RUF013  # type: ignore[assignment]  # as the guide prints it
    agent_type: str = "general",
):
    """
    Trigger Omnara workflow in a GitHub repository
    """
    url = f"{GITHUB}/repos/{owner}/{repo}/dispatches"

    headers = {
        "Authorization": f"Bearer {installation_token}",
        "Accept": "application/vnd.github.v3+json",
        "Content-Type": "application/json",
        "X-GitHub-Api-Version": "2022-11-28",
    }

    payload = {
        "event_type": "omnara_trigger",
        "client_payload": {
            "agent_instance_id": agent_instance_id,
            "prompt": prompt,
            "omnara_api_key": omnara_api_key,
            "branch_name": branch_name or "main",
            "agent_type": agent_type,
        },
    }

    response = requests.post(url, json=payload, headers=headers)

    if response.status_code == 204:
        return {"success": True, "message": "Workflow triggered successfully"}
    else:
        return {"success": False, "error": f"Failed with status {response.status_code}: {response.text}"}


def get_installation_token(app_id, private_key, installation_id):
    # Create JWT
    now = int(time.time())
    payload = {"iat": now - 60, "exp": now + (10 * 60), "iss": app_id}
    jwt_token = jwt.encode(payload, private_key, algorithm="RS256")

    # Get installation token
    headers = {"Authorization": f"Bearer {jwt_token}", "Accept": "application/vnd.github.v3+json"}

    response = requests.post(f"{GITHUB}/app/installations/{installation_id}/access_tokens", headers=headers)

    return response.json()["token"]


def check_workflow_runs(owner, repo, installation_token):
    url = f"{GITHUB}/repos/{owner}/{repo}/actions/runs"
    headers = {"Authorization": f"Bearer {installation_token}", "Accept": "application/vnd.github.v3+json"}

    response = requests.get(url, headers=headers)
    runs = response.json()["workflow_runs"]

    # Find runs triggered by repository_dispatch
    omnara_runs = [run for run in runs if run["event"] == "repository_dispatch"]

    return omnara_runs


SAMPLES = {"trigger": trigger_omnara_workflow, "token": get_installation_token, "runs": check_workflow_runs}

if __name__ == "__main__":
    for name, given in json.load(sys.stdin):
        print(json.dumps(SAMPLES[name](**given)), flush=True)
