"""Every primitive that is computed is documented for Ascend and GPU, with the types it is given there.

The pieces of ``workloads.py`` run on the CPU in the branches of an Ascend or a GPU, and tell which primitives they are made of,
gradients included; the installed MindSpore's own documentation is asked for each. What is not documented stands below, with the
documented primitive that it is a form of, or with a reason.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import documented
import graphs
import numpy as np
import pytest

from mindrestore.ops import windows

WORKLOADS = Path(__file__).with_name("workloads.py")
SHORT = ("revsci_training multi_group whole", "vrt_restoration smallest")
LONG = tuple(
    f"revsci_training {kind} {mode}" for kind, mode in (("two_way", "pieces"), ("grey_estimate", "whole"), ("colour", "whole"))
)
LONG += (
    "revsci_restoration two_way",
    "flow_training",
    "vrt_restoration aligned",
    "vrt_restoration without_flows",
    "vrt_training far float16",
    "vrt_training interpolation float32",
)

FORMS = {
    # of a tensor and a number
    "AddScalar": "Add",
    "ClampScalar": "clamp",
    "Divs": "Div",
    "EqScalar": "Equal",
    "Muls": "Mul",
    "SubScalar": "Sub",
    # the same with other arguments
    "AddExt": "Add",
    "MeanExt": "ReduceMean",
    "SelectView": "StridedSlice",
    "SplitWithSize": "Split",
    "SubExt": "Sub",
    "SumExt": "ReduceSum",
    "ToDtype": "Cast",
    # gradients
    "AvgPool3DGrad": "AvgPool3D",
    "BiasAddGrad": "BiasAdd",
    "Conv2DBackpropFilter": "Conv2D",
    "Conv2DBackpropInput": "Conv2D",
    "Conv3DBackpropFilter": "Conv3D",
    "Conv3DBackpropInput": "Conv3D",
    "LayerNormGrad": "LayerNorm",
    "ReluGrad": "ReLU",
    "ResizeBilinearGrad": "ResizeBilinearV2",
    "SigmoidGrad": "Sigmoid",
    "SoftmaxBackward": "Softmax",
    "SqrtGrad": "Sqrt",
    "StridedSliceGrad": "StridedSlice",
}
"""What MindSpore makes of the documented functions, itself undocumented: which it is a form of."""
EXCEPTIONS = {
    "typeof": "asks for a type while a function is compiled; nothing is computed",
}
"""What is allowed undocumented, and why."""
OWN_WARNINGS = {
    "FusedSparseAdam": "nn.Adam makes it",
}
"""Names that MindSpore, asked for others, itself warns of as deprecated, and what asks."""
USUAL = {"Bool", "Float16", "Float32", "Int32"}
"""Types where the documentation lists none. Not int64, which an Ascend leaves to its slow processor, nor bfloat16, which a 910A
has not."""
CONVOLUTIONS = {"Conv3D", "Conv3DBackpropFilter", "Conv3DBackpropInput", "Conv3DTranspose"}


def test_training_and_restoration(tmp_path):
    assert_documented("ascend", recorded("ascend", tmp_path, SHORT))


@pytest.mark.long
@pytest.mark.parametrize("workload", SHORT + LONG)
@pytest.mark.parametrize("device", ["ascend", "gpu"])
def test_each(device, workload, tmp_path):
    assert_documented(device, recorded(device, tmp_path, [workload]))


@pytest.mark.parametrize(
    "primitive, kind, words",
    [
        ("NanToNum", "Float32", "NanToNum: not documented for GPU but for Ascend, CPU; used by ops/rows.py:1"),
        ("NoSuchThing", "Float32", "NoSuchThing: not documented, nor a form of what is; used by ops/rows.py:1"),
        ("Softmax", "Int32", "Softmax: given Int32 on GPU, not Float16, Float32; used by ops/rows.py:1"),
        ("Muls", "Int64", "Muls: given Int64 on GPU, not Bool, Float16, Float32, Int32; used by ops/rows.py:1"),
        (
            "Conv3DBackpropInput",
            "BFloat16",
            "Conv3DBackpropInput: given BFloat16 on GPU, not Float16, Float32; used by ops/rows.py:1",
        ),
    ],
)
def test_what_a_platform_lacks_is_told_by_name(primitive, kind, words):
    assert complaints("GPU", {primitive: graphs.Use({kind}, {"ops/rows.py:1"})}) == [words]


def test_types_that_only_one_platform_lacks():
    uses = {"Conv3DTranspose": graphs.Use({"Float32"}, {"ops/convolution_native.py:1"})}
    assert complaints("GPU", uses) == []
    assert complaints("Ascend", uses) == [
        "Conv3DTranspose: given Float32 on Ascend, not Float16; used by ops/convolution_native.py:1"
    ]


def test_positions_are_int32():
    """Their gathers' gradients would be summed by int64, which is for an Ascend's slow processor."""
    assert windows.relative_positions((2, 8, 8), (2, 8, 8)).dtype == np.int32


def recorded(device, folder, workloads):
    """Run workloads in the branch of a device; return what they are made of, as ``graphs.primitives`` does."""
    saved = folder / "graphs"
    done = subprocess.run(
        [sys.executable, WORKLOADS, f"like-{device}", *workloads],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=1800,
        env={**os.environ, **graphs.RECORDING, graphs.FOLDER: str(saved), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(line["workload"], line["refused"]) for line in lines] == [(name, None) for name in workloads], done.stderr[-5000:]
    assert set(re.findall(r"'([\w.]+)' is deprecated", done.stderr)) <= set(OWN_WARNINGS)
    return graphs.primitives(saved, done.stderr)


def assert_documented(device, uses):
    assert len(uses) > 30  # of both kinds: compiled and alone
    assert complaints({"ascend": "Ascend", "gpu": "GPU"}[device], uses) == []
    if device == "ascend":
        for primitive in CONVOLUTIONS & set(uses):
            assert uses[primitive].types == {"Float16"}, primitive


def complaints(platform, uses):
    """Return what is not documented for a platform, each by name with the place that uses it."""
    found = []
    for primitive, use in uses.items():
        if primitive in EXCEPTIONS:
            continue
        known = FORMS.get(primitive, primitive)
        platforms, types = documented.platforms(known), documented.types(known, platform)
        places = ", ".join(sorted(use.places)) or "operators run alone"
        if platforms is None:
            found.append(f"{primitive}: not documented, nor a form of what is; used by {places}")
        elif platform not in platforms:
            found.append(f"{primitive}: not documented for {platform} but for {', '.join(sorted(platforms))}; used by {places}")
        for kind in sorted(use.types - (types or USUAL)):
            found.append(f"{primitive}: given {kind} on {platform}, not {', '.join(sorted(types or USUAL))}; used by {places}")
    return found
