"""Open a model bundle: one file, all of which is verified before any of it is used.

A bundle is a zip archive: manifest.json, manifest.sig (Ed25519 over the manifest's bytes) and the
files the manifest lists with size and SHA-256. There is no pickle anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from numpy.typing import NDArray

from runtime.errors import ModelRefused
from runtime.inference.archive import Archive, open_archive
from runtime.inference.manifest import FileEntry, Manifest, parse_manifest
from runtime.inference.onnx_scan import has_external_data
from runtime.inference.signature import Keyring, check_signature
from runtime.inference.task import ModelInput, Records, TaskRecord
from runtime.plain_file import array_of
from runtime.preprocess.inputs import Inputs

Record = TypeVar("Record", bound=TaskRecord)
Shown = TypeVar("Shown", bound=ModelInput)
SUFFIX = ".nsb"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
VERSIONED = re.compile(r"(?P<name>.+)-(?P<version>\d+\.\d+\.\d+)")
MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES = 2**22, 2**10
TAMPERED = "do not install it; get the bundle from its maker again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle, in memory whole, or without its networks once they are loaded. `digest`
    is the SHA-256 of its manifest, `signed_by` the name of the trusted key, `key` its fingerprint.
    """

    path: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    digest: str
    signed_by: str
    key: str

    def array(self, name: str) -> NDArray[Any]:
        """Return the array of one .npy file; object arrays are refused."""
        try:
            return array_of(self.files[name])
        except ValueError as error:
            raise ModelRefused(f"bundle {self.path}: {name}: {error}", remedy=TAMPERED) from None

    def task(self, record: type[Record]) -> Record:
        """Return the record of the task; raises ModelRefused when it is another task's."""
        found = self.manifest.task
        if not isinstance(found, record):
            raise ModelRefused(
                f"model {self.manifest.name} {self.manifest.version} is for another task",
                value=found.kind,
                limit=str(record.model_fields["kind"].default),
                remedy="name a model for this task; see 'nightscope model list'",
            )
        return found

    def input(self, kind: type[Shown]) -> Shown:
        """Return what the network takes; raises ModelRefused when that is of another kind."""
        found = self.manifest.input
        if not isinstance(found, kind):
            raise ModelRefused(
                f"model {self.manifest.name} {self.manifest.version} takes other pictures",
                value=type(found).__name__,
                limit=kind.__name__,
                remedy="name a model for this task; see 'nightscope model list'",
            )
        return found

    def loaded(self) -> Bundle:
        """Return the bundle without its networks' files, which a session has read."""
        networks = self.manifest.networks
        read = {*networks.models.values()}
        read |= {name for ir in networks.ir.values() for name in (ir.xml, ir.bin)}
        kept = {name: content for name, content in self.files.items() if name not in read}
        return replace(self, files=MappingProxyType(kept))

    def pictures(self, index: int) -> list[NDArray[Any]]:
        """Return the pictures of a golden example, each (y, x)."""
        return [self.array(file) for file in self.manifest.golden.examples[index].pictures]

    def inputs(self, index: int) -> Inputs:
        """Return the inputs made here from a golden example."""
        return self.manifest.input.inputs(self.pictures(index), self.array)


def open_bundle(path: Path, *, keys: Path | Keyring, tasks: Records) -> Bundle:
    """Return the bundle, verified against the public keys (*.pub) in the folder `keys`, or against
    all that a device believes.

    Nothing but the manifest and its signature is opened before that is checked. Raises ModelRefused
    when it is missing, damaged or unsigned, when its file's name is another model's, when any file
    is missing, extra or altered, when a model keeps data outside itself, when its task is none of
    `tasks`, and when it or its key was revoked.
    """
    with open_archive(path) as archive:
        for name in (MANIFEST, SIGNATURE):
            if name not in archive.sizes:
                raise ModelRefused(f"bundle {path} has no {name}", remedy=TAMPERED)
        content = archive.read(MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
        signature = archive.read(SIGNATURE, most_bytes=MAX_SIGNATURE_BYTES)
        signer = check_signature(content, signature, keys=keys, bundle=str(path))
        digest = hashlib.sha256(content).hexdigest()
        Keyring.of(keys).check_bundle(path, digest)
        manifest = parse_manifest(content, bundle=str(path), tasks=tasks)
        _check_name(manifest, path)
        # Only now, and only what the signed list knows of.
        files = _files(archive, manifest, path)
    for name in manifest.networks.models.values():
        _check_self_contained(files[name], name, path)
    return Bundle(
        path=path,
        manifest=manifest,
        files=MappingProxyType(files),
        digest=digest,
        signed_by=signer.name,
        key=signer.fingerprint,
    )


def find_bundle(folder: Path, name: str, *, installed: Iterable[Path] = ()) -> Path:
    """Return the bundle meant by a file path, by "name-version", or by a name: its newest version,
    in the folder or among those `installed`.

    Raises ModelRefused listing what there is.
    """
    direct = Path(name)
    if direct.suffix == SUFFIX and direct.is_file():
        return direct
    shelf = sorted([*folder.glob(f"*{SUFFIX}"), *installed], key=_version)
    matching = [path for path in shelf if name in (path.stem, path.stem.rpartition("-")[0])]
    if matching:
        return matching[-1]
    raise ModelRefused(
        f"no model bundle {name!r} in {folder}",
        limit=", ".join(path.stem for path in shelf) or "the folder has none",
        remedy="see 'nightscope model list'",
    )


def list_bundles(
    folder: Path, *, keys: Path | Keyring, tasks: Records, installed: Iterable[Path] = ()
) -> list[dict[str, Any]]:
    """Return one JSON row per bundle: name, version, task and metrics, or in "refused" why it
    cannot run.

    "measure" names the one of the "metrics" by which models of its task are compared;
    "pixel_size_um" is None where any will do.
    """
    there = sorted([*folder.glob(f"*{SUFFIX}"), *installed], key=_version)
    return [_row(path, keys, tasks) for path in there]


def _row(path: Path, keys: Path | Keyring, tasks: Records) -> dict[str, Any]:
    try:
        bundle = open_bundle(path, keys=keys, tasks=tasks)
    except ModelRefused as refusal:
        return {"file": path.name, "refused": str(refusal)}
    about = bundle.manifest
    sizes_um = about.input.pixel_size_um
    return {
        "file": path.name,
        "path": str(path),
        "name": about.name,
        "version": about.version,
        "task": about.task.kind,
        "answers": about.task.answers(),
        "pixel_size_um": None if sizes_um is None else list(sizes_um),
        "measure": about.task.MEASURE,
        "metrics": about.origin.metrics,
        "signed_by": bundle.signed_by,
    }


def _version(path: Path) -> tuple[str, tuple[int, ...], str]:
    name, _, version = path.stem.rpartition("-")
    return name, tuple(int(part) for part in version.split(".") if part.isdigit()), path.stem


def _check_name(manifest: Manifest, path: Path) -> None:
    """Refuse a file whose name says that it is another model or version: names choose models."""
    says = VERSIONED.fullmatch(path.stem)
    if says is not None and (says["name"], says["version"]) != (manifest.name, manifest.version):
        raise ModelRefused(
            f"bundle {path}: is not the model that its name says",
            value=f"{manifest.name} {manifest.version} by its manifest",
            limit=f"{says['name']} {says['version']}",
            remedy=f"name the file {manifest.name}-{manifest.version}{SUFFIX}",
        )


def _files(archive: Archive, manifest: Manifest, path: Path) -> dict[str, bytes]:
    """Return every file that the manifest lists, each as it says."""
    names = set(archive.sizes) - {MANIFEST, SIGNATURE}
    for name in sorted({*names, *manifest.files, *manifest.named()}):
        if name not in names:
            raise ModelRefused(f"bundle {path}: {name} is missing", remedy=TAMPERED)
        if name not in manifest.files:
            raise ModelRefused(f"bundle {path}: {name} is not in its manifest", remedy=TAMPERED)
        if archive.sizes[name] != manifest.files[name].size:
            raise _altered(
                path, name, f"{archive.sizes[name]} bytes", f"{manifest.files[name].size} bytes"
            )
    return {name: _file(archive, name, manifest.files[name], path) for name in sorted(names)}


def _file(archive: Archive, name: str, entry: FileEntry, path: Path) -> bytes:
    content = archive.read(name, most_bytes=entry.size)
    found = hashlib.sha256(content).hexdigest()
    if len(content) != entry.size or found != entry.sha256:
        raise _altered(path, name, f"SHA-256 {found[:16]}", entry.sha256[:16])
    return content


def _altered(path: Path, name: str, value: str, limit: str) -> ModelRefused:
    return ModelRefused(
        f"bundle {path}: {name} was altered",
        value=value,
        limit=f"{limit} in the manifest",
        remedy=TAMPERED,
    )


def _check_self_contained(model: bytes, name: str, path: Path) -> None:
    try:
        external = has_external_data(model)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"bundle {path}: {name} is no ONNX model: {error}") from None
    if external:
        raise ModelRefused(
            f"bundle {path}: {name} keeps data outside the bundle",
            remedy="export it with its weights inside",
        )
