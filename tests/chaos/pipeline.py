"""The pipeline that kill tests run: fan-out, retries, a sweep with its gather, a gate, a join, and stages that
do not want to end. What its script leaves in an attempt's output proves how often the attempt was executed."""

from __future__ import annotations

from pathlib import Path

# One line is appended for each execution; the marker can be made once. Neither can be undone by anybody later.
SCRIPT = """\
length=$1; manner=${2:-plain}
attempt=${WINSLOW_ATTEMPT##*/}
echo "start $$" >> "$WINSLOW_OUTPUT/executions"
( set -C; : > "$WINSLOW_OUTPUT/marker" ) || { echo "second $$" >> "$WINSLOW_OUTPUT/executions"; exit 97; }
echo "$WINSLOW_ATTEMPT" >> "$WINSLOW_WORKSPACE/trail"
echo "attempt $attempt of $WINSLOW_STAGE"
case $manner in
  flaky) [ "$attempt" -ge 2 ] || { sleep "$length"; echo "failed" >> "$WINSLOW_OUTPUT/executions"; exit 3; } ;;
  children) (sleep 600) & (setsid sleep 600) & ;;
  stubborn) trap '' TERM ;;
esac
sleep "$length"
echo "number=$WINSLOW_STAGE_NUMBER" >> "$WINSLOW_RESULTS"
echo "done $$" >> "$WINSLOW_OUTPUT/executions"
"""

TEXT = """\
winslow: 1
name: chaos
title: Everything at once
parameters:
  N: {type: integer, default: 0}
defaults: {timeout: 5m}
stages:
  - id: split
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.2"]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, delay: 0.1s}
  - id: left
    needs: [split]
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.3", flaky]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, failed: 2, delay: 0.2s, workspace: continue}
  - id: right
    needs: [split]
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.8", children]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, delay: 0s}
  - id: middle
    needs: [split]
    confirm: {ask: always}
    workspace: empty
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.1"]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, delay: 0s}
  - id: study
    needs: [split]
    sweep: {max_running: 2, on_failure: continue}
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.5"]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, delay: 0s}
  - id: collect
    needs: [study]
    gather: true
    workspace: empty
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.1"]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, delay: 0s}
  - id: join
    needs: [left, right, middle]
    workspace: left
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "0.2"]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 1s
    retry: {node_lost: 20, delay: 0s}
  - id: stubborn
    needs: [join]
    command: [sh, "${WINSLOW_PIPELINE}/work.sh", "1.5", stubborn]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 0.5s
    retry: {node_lost: 20, delay: 0s}
"""
IDS = ("split", "left", "right", "middle", "study", "collect", "join", "stubborn")


def write(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.yaml").write_text(TEXT)
    (folder / "work.sh").write_text(SCRIPT)
    return folder
