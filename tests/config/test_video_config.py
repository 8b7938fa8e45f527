"""Settings of VRT: which task they mean, what cannot be, and that the shipped files are the published networks."""

import pytest
from places import ROOT

from mindrestore.config import SnapshotConfig, VideoConfig, load_config, make_config
from mindrestore.errors import UserError
from mindrestore.models.vrt import settings as vrt

CONFIGS = ROOT / "configs" / "vrt"
DENOISE = {"model": {"upscale": 1, "nonblind_denoising": True}}
INTERPOLATE = {"upscale": 1, "pa_frames": 0, "img_size": [4, 64, 64]}


def made(content=None, *overrides):
    content = dict(content or {})
    model = {"name": "vrt", **content.get("model", {})}
    return make_config({"name": "x", **content, "model": model}, overrides, "my.yaml")


def test_the_model_decides_which_kind_of_configuration_it_is():
    assert isinstance(made(), VideoConfig)
    assert isinstance(make_config({"name": "x", "model": {"name": "revsci"}}), SnapshotConfig)
    assert isinstance(make_config({"name": "x"}), SnapshotConfig)


def test_defaults_are_task_001():
    defaults = made().model.network_settings()
    for key, value in vrt.TASKS["001_videosr_bi_reds_6frames"].items():
        assert defaults[key] == (list(value) if isinstance(value, tuple) else value), key


@pytest.mark.parametrize(
    "content, task, degradation",
    [
        ({}, "sr", "bicubic"),
        ({"evaluation": {"degradation": "gaussian"}}, "sr", "gaussian"),
        ({"model": {"upscale": 1}}, "deblur", "blur"),
        (DENOISE, "denoise", "noise"),
        ({"model": {"upscale": 1, "nonblind_denoising": True, "pa_frames": 0}}, "denoise", "noise"),
        ({"model": INTERPOLATE}, "interpolate", None),
        ({"interpolation": {"model": {"name": "vrt", **INTERPOLATE}}}, "space-time-sr", "bicubic"),
    ],
)
def test_the_network_tells_the_task(content, task, degradation):
    config = made(content)
    assert (config.task, config.degradation) == (task, degradation)
    assert type(config)(**config.model_dump()) == config


@pytest.mark.parametrize(
    "content, override, words",
    [
        ({}, "model.window=3", "unknown key model.window (did you mean window_size?)"),
        ({}, "tiling.tiles=3", "unknown key tiling.tiles (did you mean tile?)"),
        ({}, "evaluation.ground=x", "unknown key evaluation.ground (known keys are set, path, gt, lq"),
        (
            {"interpolation": {"model": INTERPOLATE}},
            "interpolation.model.depth=3",
            "unknown key interpolation.model.depth (did you mean depths?)",
        ),
        ({}, "mask.path=x", "unknown key mask"),
        ({}, "tiling.tile=[1,2]", "tiling.tile is [1, 2]: "),
        ({}, "tiling.tile=[1,2,-8]", "tiling.tile.2 is -8: "),
        ({}, "tiling.blend=soft", "tiling.blend is 'soft': "),
        ({}, "model.upscale=5", "model.upscale is 5: "),
        ({}, "model.pa_frames=3", "model.pa_frames is 3: "),
        ({}, "evaluation.set=reds", "evaluation.set is 'reds': "),
        ({}, "evaluation.clips=[]", "evaluation.clips is []: "),
        (DENOISE, "evaluation.sigma=256", "evaluation.sigma is 256: "),
        ({}, "evaluation.sigma=10", "evaluation.sigma is for denoising; the task is sr"),
        ({}, "evaluation.degradation=noise", "evaluation.degradation is 'noise', which does not belong to the task sr"),
        (DENOISE, "evaluation.degradation=bicubic", "does not belong to the task denoise"),
        ({}, "training.recompute.attention=[6,13]", "attention has stage 13; the stages of this network are 0 to 12"),
        ({}, "training.recompute.mlp=[-1]", "training.recompute.mlp.0 is -1: "),
        (
            {"model": {"upscale": 1, "pa_frames": 0, "img_size": [4, 64, 64]}},
            "training.initial_flow=x.ckpt",
            "training.initial_flow: this network has no SpyNet",
        ),
        ({}, "training.recompute.mpl=[1]", "unknown key training.recompute.mpl (did you mean mlp?)"),
        ({"interpolation": {"model": {}}}, "name=x", "interpolation.model must interpolate"),
        ({}, "model.name=vtr", "model.name is 'vtr': unknown (did you mean vrt?)"),
        ({}, "model.name=[vrt]", "model.name is '[vrt]': unknown"),
    ],
)
def test_mistakes_are_named(content, override, words):
    with pytest.raises(UserError) as caught:
        made(content, override)
    assert str(caught.value).startswith("my.yaml: ") and words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", vrt.TASKS)
def test_a_file_a_published_task(task):
    config = load_config(CONFIGS / f"{task}.yaml")
    settings = config.model.network_settings()
    for key, value in vrt.TASKS[task].items():
        assert settings[key] == (list(value) if isinstance(value, tuple) else value), key
    assert config.name == f"vrt_{task}" and "published" in (CONFIGS / f"{task}.yaml").read_text(encoding="utf-8")
    assert config.published.endswith("arXiv 2201.12288") or "sigma" in config.published


RESTORATION = ((2, 3, 4), (1, 2, 3, 4, 5, 9))
KEPT = {
    "002": ((0, 1, 2, 3, 4, 5), None),
    "009": ((1, 2, 3, 4, 5), None),
    **dict.fromkeys(("005", "006", "007", "008"), RESTORATION),
}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("00*.yaml")), ids=lambda path: path.stem)
def test_published_recomputation_spares_the_published_stages(path):
    """The published options name the stages that are kept, None where nothing is computed again."""
    config = load_config(path)
    stages = range(len(config.model.depths))
    attention, mlp = (config.training.recompute.attention, config.training.recompute.mlp)
    assert config.training.recompute.second_groups  # of every stage, whatever the options name
    for found, kept in zip((attention, mlp), KEPT.get(path.stem[:3], (None, None))):
        assert found == ([] if kept is None else [stage for stage in stages if stage not in kept])


RECIPE = dict(frames=6, pad_frames=None, patch=256, held_out="none", time_reversal=False, colour_jitter=False, sigma=(0, 50))
VIMEO = dict(RECIPE, frames=7, pad_frames=8, time_reversal=True)
RECIPES = {
    "001": dict(RECIPE, held_out="reds4"),
    "002_videosr_bi_reds_12": dict(RECIPE, frames=12, held_out="reds4"),
    "002_videosr_bi_reds_16": dict(RECIPE, frames=16, held_out="reds4"),
    "003": VIMEO,
    "004": VIMEO,
    "005": dict(RECIPE, patch=192),
    "006": dict(RECIPE, patch=192),
    "007": dict(RECIPE, patch=192, held_out="reds4"),
    "008": dict(RECIPE, patch=192),
    "009": dict(RECIPE, patch=192, time_reversal=True, colour_jitter=True),
}


@pytest.mark.parametrize("name", RECIPES)
def test_published_configurations_hold_the_published_recipe(name):
    (path,) = CONFIGS.glob(f"{name}*.yaml")
    config = load_config(path)
    assert {key: getattr(config.data, key) for key in RECIPE} == RECIPES[name]
    training = config.training
    assert (training.steps, training.batch_size, training.learning_rate, training.betas) == (300_000, 8, 4e-4, (0.9, 0.99))
    assert (training.flow_frozen_steps, training.flow_rate, training.clip_norm, training.average) == (20_000, 1 / 8, None, None)
    assert config.model.drop_path_rate == 0.2 and config.degradation == {
        "004": "gaussian",
        "005": "blur",
        "006": "blur",
        "007": "blur",
        "008": "noise",
        "009": None,
    }.get(name[:3], "bicubic")


@pytest.mark.parametrize(
    "path", sorted(set(CONFIGS.glob("*.yaml")) - {CONFIGS / "small_flow.yaml"}), ids=lambda path: path.stem
)
def test_every_file_has_tiles_of_whole_windows(path):
    from mindrestore.tiling import checked_tiling

    config = load_config(path)
    parts = [config] + ([config.interpolation] if config.interpolation else [])
    for part in parts:
        checked_tiling(**part.tiling.model_dump(), window=part.model.window_size)


def test_spynet_has_a_configuration_of_its_own():
    config = load_config(CONFIGS / "small_flow.yaml")
    assert config.model.name == "spynet" and config.training.steps > 0


def test_the_twelve_frame_variant_takes_the_weights_of_002():
    twelve, sixteen = (
        load_config(CONFIGS / f"002_videosr_bi_reds_{count}frames.yaml").model.network_settings() for count in (12, 16)
    )
    assert twelve.pop("img_size")[0] == 12 and sixteen.pop("img_size")[0] == 16
    assert twelve == sixteen
