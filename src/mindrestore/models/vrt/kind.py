"""What is particular to VRT and to SpyNet, its optical flow network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mindrestore.models.kind import FlowAbilities, FlowKind, Samples, VideoKind
from mindrestore.models.settings import Settings
from mindrestore.models.signature import OnnxGraph, Signature
from mindrestore.models.vrt import published
from mindrestore.models.vrt.files import SPYNET_FILES, VRT_FILES
from mindrestore.models.vrt.settings import VRTSettings, check_clip
from mindrestore.models.vrt.training import (
    FLOW,
    DroppingSamples,
    VRTTrainingKeys,
    dropping_gradients,
    is_late,
    refuse_untrained_flow,
)

if TYPE_CHECKING:
    from mindrestore.models.kind import GradientsOf
    from mindrestore.models.vrt.network import VRT
    from mindrestore.models.vrt.spynet import SpyNet


class VRTKind(VideoKind):
    settings = VRTSettings
    free_settings = ("img_size", "drop_path_rate")  # they change nothing about the weights
    training_keys = VRTTrainingKeys
    shipped = {"sr": "vrt_small_sr.ckpt", "denoise": "vrt_small_denoise.ckpt"}
    published_files = VRT_FILES

    def published_settings(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        return published.settings_from_shapes(shapes)

    def network(self, settings: VRTSettings, seed: int = 0) -> VRT:
        from mindrestore.models.vrt.network import VRT

        return VRT(settings, seed)

    def signature(self, network: VRT, frames: int, height: int, width: int, batch: int | None) -> Signature:
        can = network.abilities
        channels = can.channels + can.takes_noise_level
        check_clip((batch, frames, channels, height, width), channels, can.interpolates)
        return super().signature(network, frames, height, width, batch=batch)

    def onnx(self, network: VRT, signature: Signature, new_graph: Callable[[], OnnxGraph]) -> OnnxGraph:
        from mindrestore.models.vrt.onnx import drawn

        return drawn(network, signature, new_graph())

    # Training: the published recipe

    def first_weights(self, training: VRTTrainingKeys) -> list[tuple[str, str]]:
        return super().first_weights(training) + ([(training.initial_flow, FLOW)] if training.initial_flow else [])

    def prepare(self, network: VRT, training: VRTTrainingKeys, loaded: Collection[str], resumed: bool) -> None:
        if not resumed:
            refuse_untrained_flow(network, training, loaded)
        network.recompute_parts(**training.recompute.model_dump())

    def late_part(self, training: VRTTrainingKeys) -> tuple[Callable[[str], bool], int, float]:
        return is_late, training.flow_frozen_steps, training.flow_rate

    def samples(self, network: VRT, samples: Samples) -> Samples:
        return DroppingSamples(samples, network.drop_rates) if any(network.drop_rates) else samples

    def with_inputs(self, network: VRT, gradients: GradientsOf) -> GradientsOf:
        return dropping_gradients(network, gradients) if any(network.drop_rates) else gradients


class SpyNetSettings(Settings):
    """SpyNet has one size."""

    title: ClassVar[str] = "SpyNet"

    name: Literal["spynet"] = "spynet"

    @property
    def abilities(self) -> FlowAbilities:
        return FlowAbilities()


class SpyNetKind(FlowKind):
    settings = SpyNetSettings
    published_files = SPYNET_FILES
    part_of = "VRT", "configs/vrt/small_sr.yaml"

    def network(self, settings: SpyNetSettings, seed: int = 0) -> SpyNet:
        from mindrestore.models.vrt.spynet import SpyNet

        return SpyNet(seed)


KIND, SPYNET = VRTKind(), SpyNetKind()
