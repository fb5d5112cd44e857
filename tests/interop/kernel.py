"""A notebook's kernel and what is asked of it: a JSON object per line of stdin, and one per answer.

It runs under a Python that has ipykernel and nbclient; the kernel is another process of it.
"""

# The libraries are in a virtualenv of their own.
# mypy: ignore-errors

from __future__ import annotations

import json
import os
import sys
import time

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

PATIENCE = 120  # seconds for one answer


class Kernel:
    """One kernel, asked one thing at a time."""

    def __init__(self) -> None:
        self._manager = KernelManager(transport=os.environ.get("KERNEL_TRANSPORT", "tcp"))
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def execute(self, code: str, interrupt_at: str | None = None) -> dict:
        """Runs a cell. It is interrupted once it has printed `interrupt_at`."""
        asked, interrupted_at = self._client.execute(code), None
        told = {"printed": "", "shown": {}, "error": None, "seconds": None}
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    told["printed"] += content["text"]
                    if interrupt_at and interrupt_at in told["printed"] and interrupted_at is None:
                        interrupted_at = time.monotonic()
                        self._manager.interrupt_kernel()
                case "execute_result" | "display_data":
                    told["shown"] |= content["data"]
                case "error":
                    told["error"] = [content["ename"], content["evalue"], "\n".join(content["traceback"])]
                case "status" if content["execution_state"] == "idle":
                    if interrupted_at is not None:
                        told["seconds"] = time.monotonic() - interrupted_at
                    return told

    def complete(self, code: str) -> dict:
        return {"matches": self._answer(self._client.complete(code))["matches"]}

    def inspect(self, code: str) -> dict:
        return {"text": self._answer(self._client.inspect(code))["data"].get("text/plain", "")}

    def restart(self) -> dict:
        self._manager.restart_kernel(now=False)
        self._client.wait_for_ready(timeout=PATIENCE)
        return {}

    def end(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _answer(self, asked: str) -> dict:
        while True:
            message = self._client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == asked:
                return message["content"]


def notebook(path: str) -> dict:
    """Runs a notebook from its start to its end; what each cell has put out, by its id."""
    cells = nbformat.read(path, as_version=4)
    NotebookClient(cells, timeout=PATIENCE, kernel_name="python3").execute()
    return {cell["id"]: cell["outputs"] for cell in cells.cells if cell.cell_type == "code"}


def main() -> None:
    if len(sys.argv) == 2:
        sys.stdout.write(json.dumps(notebook(sys.argv[1])))
        return
    kernel = Kernel()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            told = getattr(kernel, asked.pop("do"))(**asked)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    finally:
        kernel.end()


if __name__ == "__main__":
    main()
