"""What each setting is, in a few words for `--help`; why its default is what it is stands with the setting itself."""

from __future__ import annotations

from typing import Final

MEANINGS: Final = {
    "data_dir": "folder of the log, the credentials and the sandboxes",
    "host": "address that the gateway listens on",
    "port": "port that the gateway listens on; 0 picks a free one",
    "allowed_hosts": "names by which the gateway may be called, with commas between them",
    "public_url": "address that links in answers begin with",
    "log_level": "how much is logged, as JSON lines on stderr",
    "split": "run each service as a process of its own",
    "nats_url": "address of the nats-server; `up` without it starts one of its own",
    "nats_user": "user at the outside nats-server",
    "nats_monitor": "URL of the outside nats-server's monitoring port",
    "accept_unsafe_nats": "take an outside nats-server that may lose acknowledged writes",
    "nats_store_limit": "most bytes that our own nats-server may store",
    "unsafe_local": "run agents WITHOUT isolation: only for code that you trust",
    "replicas": "copies of each stream in a cluster of nats-servers",
    "events_days": "days that facts are kept",
    "forge": "where repositories are and pull requests go",
    "forge_root": "folder of the bare repositories OWNER/NAME.git",
    "agent": "who does the work: Claude Code, or a program of yours",
    "agent_command": "the program that the agent `command` runs, as shell words",
    "agent_repo_config": "let a repository set up its agent: settings, hooks, memory files",
    "claude_path": "the program `claude`",
    "anthropic_base_url": "address of the model API",
    "sandbox": "where agents run",
    "egress": "hosts that agents may reach, with commas between them: NAME or NAME:PORT",
    "runs": "tasks that one sandbox service carries out at the same time",
    "cpus": "cores for each agent",
    "memory_mb": "memory for each agent, in MB",
    "processes": "processes that each agent may have",
    "disk_mb": "disk space for each agent, in MB",
    "file_mb": "largest file that an agent may write, in MB",
    "output_mb": "most output that is kept of an agent, in MB",
    "repository_mb": "largest repository that is cloned, in MB",
    "relay_instance": "name of this relay, when several share a data directory",
    "relay_fresh_within_s": "seconds that a question waits for views that lag behind",
    "relay_build_within_s": "seconds that views may take to be built at the start",
    "deadline_s": "seconds that a task may take",
    "heartbeat_s": "seconds between two signs of life on a quiet stream",
    "body_limit": "largest body of a request, in bytes",
    "body_depth": "how deep the JSON of a request may nest",
    "body_deadline_s": "seconds that the body of a request may take to arrive",
    "stream_limit": "streams that may be open at the same time",
    "stream_buffer": "bytes that are kept for a reader that lags",
    "stream_stall_s": "seconds after which a reader that takes nothing is cut",
    "drain_s": "seconds that open requests have at a stop",
    "frame_cache": "bytes of encoded events that are kept for the next reader",
    "rate_limits": "limit how often a caller may ask (not built yet)",
}


def meaning(name: str) -> str:
    """A setting in a few words; one that nobody described yet has at least its name in plain."""
    return MEANINGS.get(name, name.replace("_", " "))
