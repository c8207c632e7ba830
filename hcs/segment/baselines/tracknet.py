"""Networks that are shown masks of other frames beside the picture: Track-Net and Siam-Net of Bosboom 2024, and ours.

What they differ in is a field of ``MaskSpec``: the planes they are shown, and the encoder: a U-Net's, VGG16's (Simonyan
& Zisserman 2015) or ResNet34's (He et al. 2016), whose ImageNet weights are taken from a file of torchvision's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hcs.errors import ConfigError
from hcs.segment.baselines.concat import ConcatBlock, ConcatSpec
from hcs.segment.network import Network, Spec

Shown = Literal["image", "previous", "reference", "both"]
Encoder = Literal["plain", "vgg16", "resnet34"]
PLANES: dict[Shown, int] = {"image": 1, "previous": 2, "reference": 4, "both": 3}
"""Planes by what is shown: the image; with the previous mask; with that, a reference image and its mask; with the masks
carried from before and from after."""
_VGG = (2, 2, 3, 3, 3)
_RESNET = (3, 4, 6, 3)
_LEVELS: dict[Encoder, tuple[int, ...]] = {"plain": (2, 3, 4, 5, 6), "vgg16": (5,), "resnet34": (5,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSpec(Spec):
    """What is shown to the network, and how it looks."""

    widths: tuple[int, ...] = (16, 32, 64, 128)
    classes: int = 2
    shown: Shown = "previous"
    """image: a plain U-Net; previous: Track-Net; reference: Siam-Net; both: masks carried from before and after."""
    encoder: Encoder = "plain"

    def __post_init__(self) -> None:
        if self.shown not in get_args(Shown) or self.encoder not in get_args(Encoder):
            raise ConfigError(f"network shows {self.shown!r} to {self.encoder!r}: this version knows no such network")
        if len(self.widths) not in _LEVELS[self.encoder]:
            most = max(_LEVELS[self.encoder])
            raise ConfigError(f"widths {self.widths} of a {self.encoder} encoder: give {most} widths")

    @property
    def halved(self) -> int:
        """Resolutions below the full one: ResNet34 begins at half."""
        return len(self.widths) - (self.encoder != "resnet34")

    @property
    def stride_px(self) -> int:
        """Field sides must be multiples of this."""
        return 1 << self.halved

    @property
    def receptive_radius_px(self) -> int:
        """A bound on how far an input pixel is felt: the convolutions of each level, at that level's pixels."""
        convolutions = {"plain": (2,) * 6, "vgg16": _VGG, "resnet34": (4, 6, 8, 12, 6)}[self.encoder]
        down = sum(n << level for level, n in enumerate(convolutions[: len(self.widths)], self.encoder == "resnet34"))
        up = sum(2 << level for level in range(self.halved))
        return down + up + 2 * self.stride_px


class MaskNet(Network):
    """(B, planes, Y, X) → (B, classes, Y, X) logits; planes as in ``PLANES``, sides multiples of ``spec.stride_px``.

    A reference and its mask go through the same encoder as the picture and the previous mask; both are joined at the
    lowest resolution by a 1 × 1 convolution.
    """

    spec: MaskSpec

    def __init__(self, spec: MaskSpec) -> None:
        super().__init__()
        self.spec = spec
        self.planes = PLANES[spec.shown] // (2 if spec.shown == "reference" else 1)
        encoders = {"plain": PlainEncoder, "vgg16": VggEncoder, "resnet34": ResNetEncoder}
        self.encoder = encoders[spec.encoder](self.planes, spec.widths)
        deepest = spec.widths[-1]
        self.join = nn.Conv2d(2 * deepest, deepest, 1) if spec.shown == "reference" else None
        # What ResNet34 does not keep is the full resolution: there the picture itself is the skip.
        widths = spec.widths if spec.encoder != "resnet34" else (spec.widths[0] // 2, *spec.widths)
        skips = spec.widths if spec.encoder != "resnet34" else (self.planes, *spec.widths)
        pairs = list(zip(widths[:-1], widths[1:], skips[:-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(below, c, 2, stride=2) for c, below, _ in pairs)
        block = ConcatSpec(widths=widths)
        self.up = nn.ModuleList(ConcatBlock(c + skip, c, block) for c, _, skip in pairs)
        self.head = nn.Conv2d(widths[0], spec.classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = self.encoder(x[:, : self.planes])
        out = skips.pop()
        if self.join is not None:
            reference: list[Tensor] = self.encoder(x[:, self.planes :])
            out = F.relu(self.join(torch.cat((out, reference[-1]), dim=1)))
        for level in reversed(range(len(self.up))):
            out = self.up[level](torch.cat((self.enlarge[level](out), skips[level]), dim=1))
        logits: Tensor = self.head(out)
        return logits


class PlainEncoder(nn.Module):
    """A U-Net's way down: (B, planes, Y, X) → features from the full resolution down."""

    def __init__(self, planes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        block = ConcatSpec(widths=widths)
        self.down = nn.ModuleList(
            ConcatBlock(c_in, c, block) for c_in, c in zip((planes, *widths), widths, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            found.append(x)
        return found


class VggEncoder(nn.Module):
    """VGG16's convolutions with batch norm, by torchvision's names (vgg16_bn, ``features``)."""

    def __init__(self, planes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = planes
        for count, c in zip(_VGG, widths, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(c_in, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]
                c_in = c
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                found.append(x)
            x = layer(x)
        return [*found, x]


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions beside the identity, by torchvision's names (BasicBlock)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        same = stride == 1 and c_in == c_out
        self.downsample = (
            None if same else nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + beside)


class ResNetEncoder(nn.Module):
    """ResNet34's stem and four stages, by torchvision's names; the picture itself is the first of its features."""

    def __init__(self, planes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        stages = []
        for level, (count, c_in, c) in enumerate(zip(_RESNET, widths, widths[1:], strict=False)):
            first = ResidualBlock(c_in, c, 1 if level == 0 else 2)
            stages.append(nn.Sequential(first, *(ResidualBlock(c, c, 1) for _ in range(count - 1))))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, x: Tensor) -> list[Tensor]:
        found = [x, F.relu(self.bn1(self.conv1(x)))]
        x = F.max_pool2d(found[-1], 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            found.append(x)
        return found


def load_imagenet(network: MaskNet, weights: Mapping[str, NDArray[np.float32]], *, source: str) -> None:
    """Give the encoder the weights of torchvision's vgg16_bn or resnet34, by their names there.

    The picture's filters are the mean over the three colours times three; a mask's begin at zero. ConfigError, which
    names ``source``, where a weight is missing or has another shape: ImageNet's widths are 64, 128, 256, 512, 512 for
    VGG16 and 64, 64, 128, 256, 512 for ResNet34.
    """
    own = network.encoder.state_dict()
    first = {"vgg16": "features.0.weight", "resnet34": "conv1.weight"}.get(network.spec.encoder)
    if first is None:
        raise ConfigError(f"{source}: a plain encoder has no ImageNet weights; choose vgg16 or resnet34")
    for name, tensor in own.items():
        if name not in weights:
            if name.endswith("num_batches_tracked"):
                continue
            raise ConfigError(f"{source} has no {name}; give torchvision's vgg16_bn or resnet34 as .safetensors")
        given = torch.from_numpy(np.array(weights[name]))
        if name == first:
            colour = given.sum(dim=1, keepdim=True)
            given = torch.cat((colour, torch.zeros_like(colour).repeat(1, network.planes - 1, 1, 1)), dim=1)
        if given.shape != tensor.shape:
            raise ConfigError(
                f"{source}: {name} is {tuple(given.shape)}, the network's {tuple(tensor.shape)}; take ImageNet's widths"
            )
        own[name] = given.to(tensor.dtype)
    network.encoder.load_state_dict(own)
