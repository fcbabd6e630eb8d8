from __future__ import annotations

import os
import re
import stat
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import ModelRefused
from runtime.inference.bundle import (
    MANIFEST,
    SIGNATURE,
    Bundle,
    find_bundle,
    list_bundles,
    open_bundle,
)
from runtime.inference.task import TaskRecord
from runtime.inference.view_input import ViewInput
from runtime.tasks.classify.record import Classification
from runtime.tasks.registry import RECORDS

if TYPE_CHECKING:
    Forge = Any


def refused(path: Path, keys: Path, match: str) -> str:
    with pytest.raises(ModelRefused, match=match) as caught:
        open_bundle(path, keys=keys, tasks=RECORDS)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 6
    return message


def test_an_untouched_copy_opens_and_names_its_signer(forge: Forge) -> None:
    bundle = open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS)
    assert bundle.signed_by == "forge"
    assert bundle.task(Classification).classes == ("resin", "tissue")


# Networks (ONNX; OpenVINO's XML and the raw weights beside it), arrays that are no objects, words.
PLAIN = {".onnx", ".xml", ".bin", ".npy", ".md"}


def test_the_shipped_bundle_carries_no_pickle(shipped: Bundle) -> None:
    assert all(Path(name).suffix in PLAIN for name in shipped.files)
    arrays = [shipped.array(name) for name in shipped.files if name.endswith(".npy")]
    assert all(array.dtype.kind in "uf" for array in arrays)


def flip(files: dict[str, bytes], name: str) -> None:
    files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]


@pytest.mark.parametrize("name", ["int8.onnx", "fp32.onnx", "lbp_mds.npy", "golden/0.0.npy"])
def test_one_flipped_bit_in_any_file_is_refused(forge: Forge, name: str) -> None:
    flip(forge.files, name)
    assert name in refused(forge.write(), forge.keys, "was altered")


@pytest.mark.parametrize("name", ["int8.onnx", "lbp_mds.npy"])
def test_a_missing_file_is_refused(forge: Forge, name: str) -> None:
    del forge.files[name]
    refused(forge.write(), forge.keys, f"{name} is missing")


def test_a_model_that_neither_zip_nor_list_holds_is_refused(forge: Forge) -> None:
    forge.manifest["networks"]["models"]["int8"] = "other.onnx"
    refused(forge.write(), forge.keys, r"other\.onnx is missing")


def test_an_extra_file_is_refused(forge: Forge) -> None:
    forge.files["extra.bin"] = b"x"
    refused(forge.write(), forge.keys, r"extra\.bin is not in its manifest")


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_a_bundle_without_manifest_or_signature_is_refused(forge: Forge, name: str) -> None:
    whole = forge.write()
    partial = whole.with_name("partial.nsb")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(partial, "w") as target:
        for member in source.namelist():
            if member != name:
                target.writestr(member, source.read(member))
    refused(partial, forge.keys, f"has no {name}")


def test_a_manifest_changed_after_signing_is_refused(forge: Forge) -> None:
    with zipfile.ZipFile(forge.write()) as archive:
        old_signature = archive.read(SIGNATURE)
    forge.manifest["input"]["pixel_size_um"] = [0.01, 10.0]
    refused(forge.write(signature=old_signature), forge.keys, "not signed by a trusted key")


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\0" * 63])
def test_a_bad_signature_is_refused(forge: Forge, signature: bytes) -> None:
    refused(forge.write(signature=signature), forge.keys, "not signed by a trusted key")


def test_a_stranger_s_key_is_refused(forge: Forge) -> None:
    message = refused(forge.write(), SHIPPED_MODELS / "keys", "not signed by a trusted key")
    assert "public key" in message


def test_a_key_file_that_is_none_is_named(forge: Forge) -> None:
    (forge.keys / "a.pub").write_text("no key")
    refused(forge.write(), forge.keys, r"a\.pub is no public key")


BAD_MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown": lambda m: m.update(unknown=1),
    "golden.tolerance.scores": lambda m: m["golden"]["tolerance"].update(scores=0.9),
    "golden.tolerance": lambda m: m["golden"]["tolerance"].update(masks=0.1),
    "golden.examples": lambda m: m["golden"].update(examples=[]),
    "golden.examples ": lambda m: m["golden"]["examples"][0]["pictures"].append("golden/1.0.npy"),
    "golden.examples  ": lambda m: m["golden"]["examples"][0]["outputs"].pop("fp32"),
    "golden.examples   ": lambda m: m["golden"]["examples"][0]["outputs"]["int8"].pop("scores"),
    "input.preprocessing": lambda m: m["input"]["preprocessing"].update(version=9),
    "input.preprocessing ": lambda m: m["input"]["preprocessing"].update(colour="no"),
    "expected one of field_um and field_px": lambda m: m["input"].pop("field_um"),
    "origin.metrics": lambda m: m["origin"]["metrics"]["int8"].pop("accuracy"),
    "name": lambda m: m.update(name="../up"),
    "task": lambda m: m.update(task="classify"),
    "task ": lambda m: m.pop("task"),
    "task.kind": lambda m: m["task"].pop("kind"),
    "task.classes": lambda m: m["task"].pop("classes"),
    "task.trust.limit": lambda m: m["task"]["trust"].update(limit=-1),
    "task.masks": lambda m: m["task"].update(masks=1),
}


@pytest.mark.parametrize("field", BAD_MANIFESTS)
def test_a_manifest_of_another_make_is_refused_by_field(forge: Forge, field: str) -> None:
    BAD_MANIFESTS[field](forge.manifest)
    refused(forge.write(), forge.keys, re.escape(field.strip()))


def test_external_data_is_refused_though_signed(forge: Forge) -> None:
    # Protobuf messages merge when joined: graph { initializer { data_location: EXTERNAL } }.
    forge.files["fp32.onnx"] += bytes([0x3A, 4, 0x2A, 2, 0x70, 1])
    forge.relist("fp32.onnx")
    refused(forge.write(), forge.keys, r"fp32\.onnx keeps data outside the bundle")


def test_a_model_that_is_no_onnx_is_refused_though_signed(forge: Forge) -> None:
    forge.files["int8.onnx"] = b"\xff" * 40
    forge.relist("int8.onnx")
    refused(forge.write(), forge.keys, r"int8\.onnx is no ONNX model")


def test_a_pickled_table_is_refused_though_signed(forge: Forge, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.array([{}], dtype=object), allow_pickle=True)
    forge.files["lbp_mds.npy"] = (tmp_path / "t.npy").read_bytes()
    forge.relist("lbp_mds.npy")
    bundle = open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS)
    with pytest.raises(ModelRefused, match=r"lbp_mds\.npy"):
        bundle.input(ViewInput).table(bundle.array)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\evil", "C:evil"])
def test_a_name_that_leaves_the_bundle_is_refused(forge: Forge, name: str) -> None:
    forge.files[name] = b""
    refused(forge.write(), forge.keys, "leaves the bundle")


def test_a_link_is_refused(forge: Forge) -> None:
    path = forge.write()
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(path, forge.keys, "is a link")


def test_a_folder_is_refused(forge: Forge) -> None:
    forge.files["folder/"] = b""
    refused(forge.write(), forge.keys, "another special file")


def test_a_file_given_twice_is_refused(forge: Forge) -> None:
    path = forge.write()
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("int8.onnx", b"other")
    refused(path, forge.keys, "appears twice")


ZEROS = 2**25


def peak_bytes(path: Path, keys: Path, match: str) -> int:
    """Return how much memory the refusal of a bundle took at its worst moment."""
    tracemalloc.start()
    try:
        refused(path, keys, match)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def zipped(path: Path, members: dict[str, bytes], coding: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", coding) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_what_is_read_before_the_signature_is_small(forge: Forge, name: str) -> None:
    members = {MANIFEST: b"{}", SIGNATURE: bytes(64)} | {name: bytes(ZEROS)}
    path = zipped(forge.out, members)
    assert peak_bytes(path, forge.keys, f"'{name}' is too large; value {ZEROS}") < 2**22


def test_no_other_member_is_opened_before_the_signature_is_checked(forge: Forge) -> None:
    # Its data are no deflated ones, which whoever opens it would say.
    members = {MANIFEST: b"{}", SIGNATURE: bytes(64), "int8.onnx": bytes(ZEROS)}
    path = zipped(forge.out, members)
    content = path.read_bytes()
    at = content.index(b"int8.onnx") + len(b"int8.onnx")
    path.write_bytes(content[:at] + b"\xff" * 40 + content[at + 40 :])
    refused(path, forge.keys, "not signed by a trusted key")


def test_a_member_of_another_size_than_listed_is_refused_unread(forge: Forge) -> None:
    forge.files["int8.onnx"] = bytes(ZEROS)
    says = r"int8\.onnx was altered; value 33554432 bytes; limit \d+ bytes in the manifest"
    assert peak_bytes(forge.write(coding=zipfile.ZIP_DEFLATED), forge.keys, says) < ZEROS // 4


def test_a_member_that_unpacks_to_more_than_its_header_says_is_not_unpacked(forge: Forge) -> None:
    forge.files["extra.bin"] = bytes(ZEROS)
    forge.manifest["files"]["extra.bin"] = {"size": 100, "sha256": "0" * 64}
    path = forge.write(coding=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    at = content.index(b"extra.bin", content.index(b"PK\x01\x02")) - 46 + 24
    content[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    assert peak_bytes(path, forge.keys, "cannot be read|was altered") < ZEROS // 4


@pytest.mark.parametrize("coding", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_packings_whose_memory_nobody_bounds_are_refused(forge: Forge, coding: int) -> None:
    path = zipped(forge.out, {MANIFEST: b"{}", SIGNATURE: bytes(64)}, coding)
    refused(path, forge.keys, "is packed in a way that bundles are not")


@pytest.mark.parametrize("comment", [b"", b"any words"])
def test_a_long_table_of_contents_is_refused_before_it_is_read(
    forge: Forge, comment: bytes
) -> None:
    path = zipped(forge.out, {f"f{number}": b"" for number in range(300)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
    refused(path, forge.keys, "is too large; value 300 files")


def test_a_pipe_is_no_bundle_and_is_not_waited_for(forge: Forge, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a-1.0.0.nsb")
    refused(tmp_path / "a-1.0.0.nsb", forge.keys, "is no plain file")


@pytest.mark.parametrize("name", ["mussel-tissue-9.9.9.nsb", "other-1.0.0.nsb"])
def test_a_bundle_under_another_model_s_name_is_refused(forge: Forge, name: str) -> None:
    path = forge.write()
    renamed = path.rename(path.with_name(name))
    refused(renamed, forge.keys, r"not the model that its name says; value mussel-tissue 1\.0\.0")


def test_a_bundle_without_a_version_in_its_name_opens(forge: Forge) -> None:
    assert forge.write().name == "forged.nsb"
    opened = open_bundle(forge.out, keys=forge.keys, tasks=RECORDS)
    assert opened.manifest.version == "1.0.0"


def test_a_key_that_is_a_pipe_is_named(forge: Forge) -> None:
    os.mkfifo(forge.keys / "a.pub")
    refused(forge.write(), forge.keys, r"public key .*a\.pub: is no plain file")


def test_an_archive_too_large_is_refused_before_it_is_unpacked(forge: Forge) -> None:
    path = forge.write()
    content = bytearray(path.read_bytes())
    # The uncompressed size in the first entry of the zip's central directory.
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, forge.keys, "too large")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_bundle_is_refused(forge: Forge, share: float) -> None:
    path = forge.write()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, forge.keys, "cannot be read")


def test_a_missing_bundle_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.nsb", tmp_path, "No such file")


def test_a_list_keeps_bundles_that_cannot_run_and_says_why(forge: Forge) -> None:
    good = forge.write()
    (good.parent / "broken-2.0.0.nsb").write_bytes(b"no zip")
    rows = {row["file"]: row for row in list_bundles(good.parent, keys=forge.keys, tasks=RECORDS)}
    assert rows[good.name]["signed_by"] == "forge"
    assert "cannot be read" in rows["broken-2.0.0.nsb"]["refused"]


def test_a_bundle_of_an_older_format_is_refused_by_name_with_the_cure(forge: Forge) -> None:
    # What the manifest of format 1 began with.
    forge.manifest = {"format": 1, "name": "mussel-tissue", "task": "tile-classification"}
    message = refused(forge.write(), forge.keys, "another format; value 1; limit 2")
    assert "nightscope export pack" in message


def test_a_task_that_this_release_does_not_know_is_refused_by_name(forge: Forge) -> None:
    forge.manifest["task"] = {"kind": "paint", "stride_px": 8}
    message = refused(forge.write(), forge.keys, "task 'paint' is not one that can run here")
    assert "limit classify" in message


def test_a_model_for_another_task_does_not_classify(shipped: Bundle) -> None:
    class Match(TaskRecord):
        kind: Literal["match"] = "match"

    with pytest.raises(ModelRefused, match=r"is for another task; value classify; limit match"):
        shipped.task(Match)


@pytest.mark.parametrize("name", ["mussel-tissue", "mussel-tissue-1.10.0"])
def test_the_newest_version_is_the_largest_number_not_the_last_word(
    tmp_path: Path, name: str
) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.11", "0.99.0"):
        (tmp_path / f"mussel-tissue-{version}.nsb").touch()
    (tmp_path / "mussel-tissue-b-9.0.0.nsb").touch()
    assert find_bundle(tmp_path, name).name == "mussel-tissue-1.10.0.nsb"


def test_a_list_puts_versions_in_their_order(tmp_path: Path) -> None:
    for version in ("1.10.0", "1.9.0", "2.0.0", "1.9.10"):
        (tmp_path / f"m-{version}.nsb").touch()
    rows = list_bundles(tmp_path, keys=tmp_path, tasks=RECORDS)
    assert [row["file"] for row in rows] == [
        "m-1.9.0.nsb", "m-1.9.10.nsb", "m-1.10.0.nsb", "m-2.0.0.nsb",
    ]  # fmt: skip


def test_a_list_says_what_a_model_answers_and_how_good_it_is(forge: Forge) -> None:
    (row,) = list_bundles(forge.write().parent, keys=forge.keys, tasks=RECORDS)
    assert (row["task"], row["answers"]) == ("classify", "resin, tissue")
    assert row["metrics"]["int8"][row["measure"]] == pytest.approx(0.98, abs=0.01)


def test_the_shipped_card_is_the_one_in_the_bundle(shipped: Bundle) -> None:
    card = shipped.files[shipped.manifest.origin.card]
    assert card == (SHIPPED_MODELS / "mussel-tissue.md").read_bytes()
