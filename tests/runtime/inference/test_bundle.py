from __future__ import annotations

import hashlib
import re
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import ModelRefused
from runtime.inference.bundle import MANIFEST, SIGNATURE, Bundle, list_bundles, open_bundle

if TYPE_CHECKING:
    Forge = Any


def refused(path: Path, keys: Path, match: str) -> str:
    with pytest.raises(ModelRefused, match=match) as caught:
        open_bundle(path, keys=keys)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 6
    return message


def relist(forge: Forge, name: str) -> None:
    data = forge.files[name]
    digest = hashlib.sha256(data).hexdigest()
    forge.manifest["files"][name] = {"size": len(data), "sha256": digest}


def test_an_untouched_copy_opens_and_names_its_signer(forge: Forge) -> None:
    bundle = open_bundle(forge.write(), keys=forge.keys)
    assert bundle.signed_by == "forge"
    assert bundle.manifest.classes == ("resin", "tissue")


# Networks (ONNX; OpenVINO's XML and the raw weights beside it) and arrays that are no objects.
PLAIN = {".onnx", ".xml", ".bin", ".npy"}


def test_the_shipped_bundle_carries_no_pickle(shipped: Bundle) -> None:
    assert all(Path(name).suffix in PLAIN for name in shipped.files)
    arrays = [shipped.array(name) for name in shipped.files if name.endswith(".npy")]
    assert all(array.dtype.kind in "uf" for array in arrays)


def flip(files: dict[str, bytes], name: str) -> None:
    files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]


@pytest.mark.parametrize("name", ["int8.onnx", "fp32.onnx", "lbp_mds.npy", "golden/0.npy"])
def test_one_flipped_bit_in_any_file_is_refused(forge: Forge, name: str) -> None:
    flip(forge.files, name)
    assert name in refused(forge.write(), forge.keys, "was altered")


@pytest.mark.parametrize("name", ["int8.onnx", "lbp_mds.npy"])
def test_a_missing_file_is_refused(forge: Forge, name: str) -> None:
    del forge.files[name]
    refused(forge.write(), forge.keys, f"{name} is missing")


def test_a_model_that_neither_zip_nor_list_holds_is_refused(forge: Forge) -> None:
    forge.manifest["models"]["int8"] = "other.onnx"
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
    forge.manifest["pixel_size_um"] = [0.01, 10.0]
    refused(forge.write(signature=old_signature), forge.keys, "not signed by a trusted key")


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\0" * 63])
def test_a_bad_signature_is_refused(forge: Forge, signature: bytes) -> None:
    refused(forge.write(signature=signature), forge.keys, "not signed by a trusted key")


def test_a_stranger_s_key_is_refused(forge: Forge) -> None:
    message = refused(forge.write(), SHIPPED_MODELS / "keys", "not signed by a trusted key")
    assert "public key" in message


def test_a_key_file_that_is_none_is_named(forge: Forge) -> None:
    (forge.keys / "a.pub").write_text("no key")
    refused(forge.write(), forge.keys, r"a\.pub cannot be read")


BAD_MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "format": lambda m: m.update(format=2),
    "unknown": lambda m: m.update(unknown=1),
    "tolerance": lambda m: m.update(tolerance=0.9),
    "golden": lambda m: m.update(golden=[]),
    "preprocessing": lambda m: m["preprocessing"].update(version=9),
    "preprocessing ": lambda m: m["preprocessing"].update(colour="no"),
    "name": lambda m: m.update(name="../up"),
    "classes": lambda m: m.pop("classes"),
}


@pytest.mark.parametrize("field", BAD_MANIFESTS)
def test_a_manifest_of_another_make_is_refused_by_field(forge: Forge, field: str) -> None:
    BAD_MANIFESTS[field](forge.manifest)
    refused(forge.write(), forge.keys, re.escape(field.strip()))


def test_external_data_is_refused_though_signed(forge: Forge) -> None:
    # Protobuf messages merge when joined: graph { initializer { data_location: EXTERNAL } }.
    forge.files["fp32.onnx"] += bytes([0x3A, 4, 0x2A, 2, 0x70, 1])
    relist(forge, "fp32.onnx")
    refused(forge.write(), forge.keys, r"fp32\.onnx keeps data outside the bundle")


def test_a_model_that_is_no_onnx_is_refused_though_signed(forge: Forge) -> None:
    forge.files["int8.onnx"] = b"\xff" * 40
    relist(forge, "int8.onnx")
    refused(forge.write(), forge.keys, r"int8\.onnx is no ONNX model")


def test_a_pickled_table_is_refused_though_signed(forge: Forge, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.array([{}], dtype=object), allow_pickle=True)
    forge.files["lbp_mds.npy"] = (tmp_path / "t.npy").read_bytes()
    relist(forge, "lbp_mds.npy")
    bundle = open_bundle(forge.write(), keys=forge.keys)
    with pytest.raises(ModelRefused, match=r"lbp_mds\.npy"):
        bundle.lut()


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
    refused(tmp_path / "none.nsb", tmp_path, "cannot be read")


def test_a_list_keeps_bundles_that_cannot_run_and_says_why(forge: Forge) -> None:
    good = forge.write()
    (good.parent / "broken-2.0.0.nsb").write_bytes(b"no zip")
    rows = {row["file"]: row for row in list_bundles(good.parent, keys=forge.keys)}
    assert rows[good.name]["signed_by"] == "forge"
    assert "cannot be read" in rows["broken-2.0.0.nsb"]["refused"]
