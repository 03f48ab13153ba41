"""Pushes small images to a registry by its API: without a docker, and known to the byte."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

DOCKER = {
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
OCI = {
    "index": "application/vnd.oci.image.index.v1+json",
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(files: Mapping[str, bytes]) -> bytes:
    """A tar with these files, all of which everybody may run."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class Pusher:
    """`url`: of the registry; `login`: user and password; `trusting`: a file with the authority of its certificate."""

    def __init__(self, url: str, login: tuple[str, str] | None = None, trusting: Path | None = None) -> None:
        verify = ssl.create_default_context(cafile=str(trusting)) if trusting else True
        self.http = httpx.Client(base_url=url, auth=login, verify=verify, trust_env=False, timeout=30)

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def image(
        self,
        path: str,
        tag: str,
        config: Mapping[str, Any] | None = None,
        *,
        layers: Sequence[bytes] = (),
        kinds: Mapping[str, str] = DOCKER,
        **fields: Any,
    ) -> str:
        """The digest of its manifest. `config`: Entrypoint, Cmd ...; `fields`: of the configuration, such as `os`."""
        packed = [gzip.compress(tar, mtime=0) for tar in (layers or (layer({}),))]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in (layers or (layer({}),))]},
            **fields,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": kinds["manifest"],
            "config": self._blob(path, json.dumps(document).encode(), kinds["config"]),
            "layers": [self._blob(path, data, kinds["layer"]) for data in packed],
        }
        return self.manifest(path, tag, manifest)

    def index(self, path: str, tag: str, variants: Sequence[tuple[str, str]], kinds: Mapping[str, str] = OCI) -> str:
        """`variants`: architecture and digest of each."""
        entries = []
        for architecture, digest in variants:
            found = self.http.get(f"/v2/{path}/manifests/{digest}", headers={"accept": kinds["manifest"]})
            platform = {"architecture": architecture, "os": "unknown" if architecture == "unknown" else "linux"}
            size = len(found.raise_for_status().content)
            entries.append({"mediaType": kinds["manifest"], "digest": digest, "size": size, "platform": platform})
        return self.manifest(path, tag, {"schemaVersion": 2, "mediaType": kinds["index"], "manifests": entries})

    def manifest(self, path: str, tag: str, document: Mapping[str, Any]) -> str:
        body = json.dumps(document).encode()
        sent = {"content-type": document["mediaType"]}
        answer = self.http.put(f"/v2/{path}/manifests/{tag}", content=body, headers=sent)
        assert answer.status_code == 201, answer.text
        return digest_of(body)

    def _blob(self, path: str, data: bytes, kind: str) -> dict[str, Any]:
        digest = digest_of(data)
        begun = self.http.post(f"/v2/{path}/blobs/uploads/").raise_for_status()
        target = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        self.http.put(str(target), content=data).raise_for_status()
        return {"mediaType": kind, "size": len(data), "digest": digest}
