"""Settings: read, overridden, checked; every mistake named."""
from pathlib import Path

import pytest

from mindrestore.config import load_config, make_config
from mindrestore.errors import UserError
from mindrestore.models.revsci import settings as revsci

CONFIGS = Path(__file__).parents[1] / "configs"


def test_defaults_are_the_published_recipe():
    config = make_config({"name": "x"})
    model, training = config.model, config.training
    assert model.model_dump() == {"name": "revsci", "blocks": 50, "channels": 64, "coupling": "two_way", "groups": 2,
                                  "colour": False, "start": "normalised"}
    assert (training.learning_rate, training.epochs, training.batch_size, training.loss) == (2e-4, 100, 3, "mse")
    assert (config.data.frames, config.data.size) == (8, 256)
    assert config.training.schedule.model_dump() == {
        "kind": "constant", "factor": 0.95, "every_epochs": 5, "final": 0.0, "warmup_steps": 0}


def test_a_file_and_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: {blocks: 3}\ntraining: {steps: 5, schedule: {kind: cosine}}\n", encoding="utf-8")
    config = load_config(path)
    assert (config.name, config.model.blocks, config.training.steps) == ("mine", 3, 5)
    changed = load_config(path, ["training.steps=7", "training.learning_rate=1e-3", "training.schedule.final=1.0e-6",
                                 "mask.fixed=true", "output=null", "training.clip_norm=0.5", "name=a=b",
                                 "data.path=x y"])
    assert (changed.model.blocks, changed.training.steps, changed.training.learning_rate) == (3, 7, 1e-3)
    assert (changed.training.schedule.kind, changed.training.schedule.final) == ("cosine", 1e-6)
    assert (changed.mask.fixed, changed.output, changed.training.clip_norm) == (True, None, 0.5)
    assert (changed.name, changed.data.path) == ("a=b", "x y")


@pytest.mark.parametrize("content, words", [
    ({"modle": {}}, "unknown key modle (did you mean model?)"),
    ({"model": {"block": 3}}, "unknown key model.block (did you mean blocks?)"),
    ({"training": {"schedule": {"warm_up_steps": 3}}},
     "unknown key training.schedule.warm_up_steps (did you mean warmup_steps?)"),
    ({"mask": {"qqqq": 3}}, "unknown key mask.qqqq (known keys are path, density, fixed, seed)"),
])
def test_an_unknown_key_names_the_nearest_known_one(content, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x", **content}, origin="my.yaml")
    assert str(caught.value) == f"my.yaml: {words}."


@pytest.mark.parametrize("override, words", [
    ("model.blocks=0", "model.blocks is 0: "),
    ("model.blocks=2.5", "model.blocks is 2.5: "),
    ("model.blocks=many", "model.blocks is 'many': "),
    ("model.name=vtr", "model.name is 'vtr': "),
    ("model.coupling=three_way", "model.coupling is 'three_way': Input should be 'two_way' or 'multi_group'"),
    ("model.start=zeros", "model.start is 'zeros': "),
    ("model.colour=blue", "model.colour is 'blue': "),
    ("mask.density=1", "mask.density is 1: "),
    ("mask.density=0", "mask.density is 0: "),
    ("measure.bits=17", "measure.bits is 17: "),
    ("measure.read_noise=-0.1", "measure.read_noise is -0.1: "),
    ("data.frames=0", "data.frames is 0: "),
    ("data.kind=davis", "data: path is missing: data of kind davis are read from a folder"),
    ("training.mode=fast", "training.mode is 'fast': "),
    ("training.learning_rate=0", "training.learning_rate is 0: "),
    ("training.learning_rate=-1", "training.learning_rate is -1: "),
    ("training.learning_rate=.nan", "training.learning_rate is nan: "),
    ("training.learning_rate=.inf", "training.learning_rate is inf: "),
    ("training.clip_norm=0", "training.clip_norm is 0: "),
    ("training.steps=0", "training.steps is 0: "),
    ("training.accumulation=2", "training: accumulation is 2; it must divide the batch size 3"),
    ("training.schedule.kind=linear", "training.schedule.kind is 'linear': "),
    ("training.schedule.factor=1.5", "training.schedule.factor is 1.5: "),
    ("training=5", "training is 5: "),
    ("runtime.device=tpu", "runtime.device is 'tpu': "),
    ("runtime.threads=0", "runtime.threads is 0: "),
    ("name=null", "name is None: "),
])
def test_impossible_values_are_named(override, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x"}, [override], "my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("override, words", [
    ("training.steps", "'training.steps': an override is written key=value, such as training.steps=100."),
    ("=3", "'=3': an override is written key=value"),
    ("training..steps=3", "'training..steps=3': an override is written key=value"),
    ("name.first=3", "'name.first=3': name holds a value, not further keys."),
    ("training.steps=[1", "'training.steps=[1': the value is not readable as YAML."),
    ("training.stepz=3", "unknown key training.stepz (did you mean steps?)"),
])
def test_wrong_overrides_are_named(override, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x"}, [override])
    assert words in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="nothing.yaml: no such configuration file"):
        load_config(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("raw, words", [
    (b"model: [1, 2", "not a readable YAML file"),
    (b"\xff\xfe\x00bad", "not a readable YAML file"),
    (b"- a\n- b\n", "expected keys and values such as 'name: my_run', found list"),
    (b"", "expected keys and values such as 'name: my_run', found NoneType"),
    (b"model:\n  blocks: 3\n  blocks: !!python/object/apply:os.getcwd []\n", "not a readable YAML file"),
    (b"1: 2\n", "1 is 1: Keys should be strings"),
    (b"training:\n  null: 3\n", "training.None is None: Keys should be strings"),
])
def test_an_unreadable_file(tmp_path, raw, words):
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(UserError, match="not a readable YAML file"):
        load_config(tmp_path)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_that_ships_loads_and_says_what_it_is(path):
    config = load_config(path)
    assert config.name
    assert type(config)(**config.model_dump()) == config
    if config.model.name == "revsci":
        revsci.check(**config.model.network_settings())
    head = path.read_text(encoding="utf-8").partition("name:")[0]
    assert f"train.py --config configs/{path.relative_to(CONFIGS)}" in head or "eval.py" in head


def test_configurations_ship():
    assert len(list(CONFIGS.rglob("*.yaml"))) >= 9
