"""The networks: sizes, key layouts, any input size, and foreign weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.networks.compact import CELL_PX, CompactNet
from export.networks.imagenet import load_imagenet
from export.networks.registry import ARCHITECTURES, make_network
from export.networks.vgg import POOLED_PX, _pool
from runtime.errors import ConfigRefused

pytestmark = pytest.mark.export


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("architecture", "count"), [("resnet50", 25_557_032), ("vgg16_bn", 138_365_992)]
)
def test_parameter_counts_are_the_published_ones(architecture: str, count: int) -> None:
    with torch.device("meta"):
        assert parameters(make_network(architecture, channels=3, classes=1000)) == count


# From torchvision's own checkpoints: a few keys of every kind, with their shapes.
LAYOUT = {
    "resnet50": {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.conv1.weight": (64, 64, 1, 1),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.bias": (256,),
        "layer3.5.conv2.weight": (256, 256, 3, 3),
        "layer4.2.bn3.num_batches_tracked": (),
        "fc.weight": (1000, 2048),
    },
    "vgg16_bn": {
        "features.0.weight": (64, 3, 3, 3),
        "features.1.running_var": (64,),
        "features.40.weight": (512, 512, 3, 3),
        "features.41.bias": (512,),
        "classifier.0.weight": (4096, 25088),
        "classifier.3.bias": (4096,),
        "classifier.6.weight": (1000, 4096),
    },
}


@pytest.mark.parametrize("architecture", LAYOUT)
def test_the_state_dict_has_torchvisions_layout(architecture: str) -> None:
    with torch.device("meta"):
        state = make_network(architecture, channels=3, classes=1000).state_dict()
    assert {key: tuple(state[key].shape) for key in LAYOUT[architecture]} == LAYOUT[architecture]
    assert len(state) == {"resnet50": 320, "vgg16_bn": 97}[architecture]
    assert {key.split(".")[0] for key in state} == {
        "resnet50": {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"},
        "vgg16_bn": {"features", "classifier"},
    }[architecture]


@pytest.mark.parametrize("channels", [1, 3, 4, 9, 10])
def test_a_compact_stream_is_small_and_takes_any_input(channels: int) -> None:
    network = make_network("compact", channels=channels, classes=3).eval()
    assert parameters(network) <= 1_000_000
    for size in ((128, 128), (224, 256), (97, 33)):
        images = torch.randn(2, channels, *size)
        assert network(images).shape == (2, 3)
        assert network.features(images).shape == (2, network.feature_width)


@pytest.mark.parametrize("size", [(64, 64), (96, 33)])
def test_resnet_takes_any_size(size: tuple[int, int]) -> None:
    network = make_network("resnet50", channels=4, classes=2).eval()
    with torch.inference_mode():
        images = torch.randn(1, 4, *size)
        assert network(images).shape == (1, 2)
        assert network.features(images).shape == (1, 2048)


def test_resnet_blocks_begin_as_what_they_carry() -> None:
    torch.manual_seed(0)
    network = make_network("resnet50", channels=1, classes=2)
    carried = torch.rand(2, 256, 8, 8)
    assert torch.equal(network.layer1[1](carried), carried)
    network(torch.rand(2, 1, 64, 64)).sum().backward()
    assert network.layer1[1].bn3.weight.grad.any()


@pytest.mark.parametrize("size", [(2, 3), (7, 7), (7, 8), (14, 5), (9, 28)])
def test_vggs_pooling_is_adaptive_average_pooling(size: tuple[int, int]) -> None:
    images = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.adaptive_avg_pool2d(images, POOLED_PX)
    assert torch.allclose(_pool(images, POOLED_PX), wanted, atol=1e-6)


@pytest.mark.parametrize("head", ["pooled", "area"])
def test_cells_agree_with_the_tile(head: str) -> None:
    torch.manual_seed(0)
    network = CompactNet(1, 2, head=head).eval()  # type: ignore[arg-type]
    images = torch.randn(2, 1, 96, 64)
    logits, cells = network.with_cells(images)
    assert cells.shape == (2, 2, 96 // CELL_PX, 64 // CELL_PX)
    assert torch.allclose(logits, network(images), atol=1e-5)


def test_the_area_head_is_not_carried_away_by_one_loud_cell() -> None:
    network = CompactNet(1, 2, head="area")
    calm = torch.zeros(1, 2, 4, 4)
    calm[:, 0] = 3
    loud = calm.clone()
    loud[:, 1, 0, 0] = 500
    with torch.no_grad():
        share = torch.softmax(loud, dim=1).mean(dim=(2, 3))
        assert network.decide is not None
        assert network.decide(share).argmax() == 0
    assert loud.mean(dim=(2, 3)).argmax() == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"architecture": "resnet51", "channels": 1, "classes": 2}, "compact, resnet50, vgg16_bn"),
        ({"architecture": "compact", "channels": 1, "classes": 1}, "2 classes"),
        ({"architecture": "resnet50", "channels": 1, "classes": 2, "head": "area"}, "area head"),
    ],
)
def test_what_cannot_be_made_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigRefused, match=message):
        make_network(**wrong)


def published(architecture: str, path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint as torchvision saves it, of random weights; old ones have no counters."""
    torch.manual_seed(1)
    state = make_network(architecture, channels=3, classes=1000).state_dict()
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(state, path)
    return state


@pytest.mark.parametrize("channels", [1, 3, 10])
def test_imagenet_weights_load(channels: int, tmp_path: Path) -> None:
    state = published("resnet50", tmp_path / "r.pth")
    network = make_network("resnet50", channels=channels, classes=2)
    head = network.fc.weight.clone()
    load_imagenet(network, tmp_path / "r.pth")
    assert torch.equal(
        network.state_dict()["layer4.2.conv3.weight"], state["layer4.2.conv3.weight"]
    )
    assert torch.equal(network.fc.weight, head)
    first = network.conv1.weight
    if channels == 3:
        assert torch.equal(first, state["conv1.weight"])
    else:
        # The same grey value in every channel gives the response that grey gave in RGB.
        assert torch.allclose(first.sum(1), state["conv1.weight"].sum(1), atol=1e-5)


def test_a_checkpoint_of_another_architecture_names_file_and_key(tmp_path: Path) -> None:
    published("resnet50", tmp_path / "r.pth")
    with torch.device("meta"):
        network = make_network("vgg16_bn", channels=3, classes=2)
    with pytest.raises(ConfigRefused, match=r"r\.pth.*features\.0\.weight.*absent"):
        load_imagenet(network, tmp_path / "r.pth")


def test_a_wider_network_of_the_same_family_is_named_too(tmp_path: Path) -> None:
    state = published("resnet50", tmp_path / "r.pth")
    state["layer2.0.conv1.weight"] = torch.zeros(256, 256, 1, 1)
    torch.save(state, tmp_path / "r.pth")
    network = make_network("resnet50", channels=3, classes=2)
    before = network.conv1.weight.clone()
    with pytest.raises(ConfigRefused, match=r"layer2\.0\.conv1\.weight.*256, 256"):
        load_imagenet(network, tmp_path / "r.pth")
    assert torch.equal(network.conv1.weight, before)


class Payload:
    def __reduce__(self) -> tuple:
        return (print, ("pickle ran",))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", {"a": 1}, {"w": Payload()}])
def test_what_is_no_checkpoint_is_named(content: object, tmp_path: Path, capsys) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ConfigRefused, match=r"bad\.pth"):
        load_imagenet(make_network("compact", channels=1, classes=2), path)
    assert "pickle ran" not in capsys.readouterr().out


def test_every_architecture_is_made_with_the_same_weights_from_the_same_seed() -> None:
    assert ARCHITECTURES == ("compact", "resnet50", "vgg16_bn")
    weights = []
    for _ in range(2):
        torch.manual_seed(4)
        weights.append(make_network("compact", channels=3, classes=2).cells.weight.detach().numpy())
    assert np.array_equal(*weights)
