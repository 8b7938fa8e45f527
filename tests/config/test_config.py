"""Settings: read, overridden, checked; every mistake named."""

import re
import time

import pytest
from places import CONFIGS

from mindrestore import cli
from mindrestore.commands.evaluate import settings_of
from mindrestore.commands.shared import overrides_of
from mindrestore.config import VideoConfig, load_config, make_config
from mindrestore.errors import UserError
from mindrestore.training.optimizers import learning_rates


def test_defaults_train_as_the_papers_own_code():
    config = make_config({"name": "x"})
    model, training = config.model, config.training
    assert model.model_dump() == {
        "name": "revsci",
        "blocks": 50,
        "channels": 64,
        "coupling": "two_way",
        "groups": 2,
        "colour": False,
        "start": "normalised",
    }
    assert (training.learning_rate, training.epochs, training.batch_size, training.loss) == (2e-4, 100, 3, "mse")
    assert (config.data.frames, config.data.size) == (8, 256)
    assert config.training.schedule.model_dump() == {
        "kind": "step",
        "factor": 0.95,
        "every_epochs": 5,
        "final": 0.0,
        "warmup_steps": 0,
    }


def test_a_file_and_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: {blocks: 3}\ntraining: {steps: 5, schedule: {kind: cosine}}\n", encoding="utf-8")
    config = load_config(path)
    assert (config.name, config.model.blocks, config.training.steps) == ("mine", 3, 5)
    changed = load_config(
        path,
        [
            "training.steps=7",
            "training.learning_rate=1e-3",
            "training.schedule.final=1.0e-6",
            "mask.fixed=true",
            "output=null",
            "training.clip_norm=0.5",
            "name=a=b",
            "data.path=x y",
        ],
    )
    assert (changed.model.blocks, changed.training.steps, changed.training.learning_rate) == (3, 7, 1e-3)
    assert (changed.training.schedule.kind, changed.training.schedule.final) == ("cosine", 1e-6)
    assert (changed.mask.fixed, changed.output, changed.training.clip_norm) == (True, None, 0.5)
    assert (changed.name, changed.data.path) == ("a=b", "x y")


@pytest.mark.parametrize(
    "content, words",
    [
        ({"modle": {}}, "unknown key modle (did you mean model?)"),
        ({"model": {"block": 3}}, "unknown key model.block (did you mean blocks?)"),
        (
            {"training": {"schedule": {"warm_up_steps": 3}}},
            "unknown key training.schedule.warm_up_steps (did you mean warmup_steps?)",
        ),
        ({"mask": {"qqqq": 3}}, "unknown key mask.qqqq (known keys are path, density, fixed, seed)"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(content, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x", **content}, origin="my.yaml")
    assert str(caught.value) == f"my.yaml: {words}."


@pytest.mark.parametrize(
    "override, words",
    [
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
        ("data.view=round", "data.view is 'round': "),
        ("data.view=whole", "data: view is 'whole', which is for stored frames; rendered clips are made in their size"),
        ("data.photographs=[chelsea]", "data.photographs.0 is 'chelsea': "),  # a score on it would be no fair one
        ("data.photographs=[]", "data.photographs is []: "),
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
    ],
)
def test_impossible_values_are_named(override, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x"}, [override], "my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override, words",
    [
        ("training.steps", "'training.steps': an override is written key=value, such as training.steps=100."),
        ("=3", "'=3': an override is written key=value"),
        ("training..steps=3", "'training..steps=3': an override is written key=value"),
        ("name.first=3", "'name.first=3': name holds a value, not further keys."),
        ("training.steps=[1", "'training.steps=[1': the value is not readable as YAML ("),
        ("training.stepz=3", "unknown key training.stepz (did you mean steps?)"),
    ],
)
def test_wrong_overrides_are_named(override, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x"}, [override])
    assert words in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="nothing.yaml: no such configuration file"):
        load_config(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    "raw, words",
    [
        (b"model: [1, 2", "not a readable YAML file"),
        (b"\xff\xfe\x00bad", "not a readable YAML file"),
        (b"- a\n- b\n", "expected keys and values such as 'name: my_run', found list"),
        (b"", "expected keys and values such as 'name: my_run', found NoneType"),
        (b"model:\n  blocks: 3\n  blocks: !!python/object/apply:os.getcwd []\n", "not a readable YAML file"),
        (b"1: 2\n", "1 is 1: Keys should be strings"),
        (b"training:\n  null: 3\n", "training.None is None: Keys should be strings"),
    ],
)
def test_an_unreadable_file(tmp_path, raw, words):
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(UserError, match="is a folder; give a YAML file"):
        load_config(tmp_path)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_that_ships_loads_and_says_what_it_is(path):
    config = load_config(path)
    assert config.name
    assert type(config)(**config.model_dump()) == config
    assert type(config.model)(**config.model.network_settings()) == config.model
    head = path.read_text(encoding="utf-8").partition("name:")[0]
    assert f"train.py --config configs/{path.relative_to(CONFIGS)}" in head or "eval.py" in head


def commands_in_the_head_of(path):
    """What ``python train.py`` and ``python eval.py`` are given in the comments that a configuration begins with."""
    head = path.read_text(encoding="utf-8").partition("\nname:")[0]
    words = [word.strip("[]()") for line in head.splitlines() for word in line.lstrip("# ").split()]
    starts = [at for at, word in enumerate(words) if word in ("train.py", "eval.py") and words[at - 1] == "python"]
    for at in starts:
        given, last = [], ""
        for word in words[at + 1 :]:
            takes_value = last in ("--config", "--checkpoint", "--scenes", "--captures", "--mask", "--gt", "--lq", "--sigma")
            if not (takes_value or word.startswith("--") or re.match(r"[a-z_]+(\.[a-z_]+)*=", word)):
                break
            given.append(word.rstrip(",;"))
            last = word
            if word != given[-1]:
                break
        yield [words[at].removesuffix(".py"), *given]


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_commands_in_the_head_of_a_configuration_are_understood(path, monkeypatch):
    """And say all that they need: where the data lie, and weights for what is frozen first."""
    monkeypatch.chdir(CONFIGS.parent)
    commands = list(commands_in_the_head_of(path))
    assert any(f"configs/{path.relative_to(CONFIGS)}" in command for command in commands)
    for command in commands:
        options = cli.parser().parse_args(command)
        config = load_config(options.config, overrides_of(options) + (settings_of(options) if command[0] == "eval" else []))
        if command[0] == "train" and isinstance(config, VideoConfig):
            training = config.training
            assert config.data and (config.data.kind == "rendered" or config.data.gt), command
            freezes = config.model.pa_frames and (training.flow_frozen_steps or "spynet" in training.frozen)
            assert not freezes or training.initial or training.initial_flow, command


TOOLBOX = dict(learning_rate=1e-4, loss="sqrt_mse", epochs=120, batch_size=1, renew_optimiser=False, rates=[1e-4] * 11)
OWN_CODE = dict(
    learning_rate=2e-4, loss="mse", epochs=100, renew_optimiser=True, rates=[2e-4] * 5 + [2e-4 * 0.95] * 5 + [2e-4 * 0.95**2]
)
REVSCI_RECIPES = {
    "two_way_50": dict(TOOLBOX, network=("two_way", 50, False), data=(8, 256, "stretched")),
    **{
        f"real_t{frames}": dict(TOOLBOX, network=("two_way", 50, False), data=(frames, 512, "whole"))
        for frames in (10, 20, 30, 40, 50)
    },
    "multi_group_18x2": dict(OWN_CODE, batch_size=3, network=("multi_group", 18, False), data=(8, 256, "scaled")),
    "colour_mid_t8": dict(OWN_CODE, batch_size=1, network=("two_way", 18, True), data=(8, 512, "scaled")),
    "colour_large_t24": dict(OWN_CODE, batch_size=1, network=("two_way", 18, True), data=(24, 512, "scaled")),
}


@pytest.mark.parametrize("name", REVSCI_RECIPES)
def test_every_published_revsci_follows_one_source_and_names_it(name):
    path, expected = CONFIGS / "revsci" / f"{name}.yaml", REVSCI_RECIPES[name]
    config = load_config(path)
    training = config.training
    rates = learning_rates(training.learning_rate, training.schedule, 11, 1)  # of the first epochs
    assert rates == pytest.approx(expected["rates"])
    assert (config.model.coupling, config.model.blocks, config.model.colour) == expected["network"]
    assert (config.data.frames, config.data.size, config.data.view) == expected["data"]
    for key in ("learning_rate", "loss", "epochs", "batch_size", "renew_optimiser"):
        assert getattr(training, key) == expected[key], key
    head = path.read_text(encoding="utf-8").partition("\nname:")[0]
    assert ("toolbox" in head) == (expected["loss"] == "sqrt_mse") and ("own code" in head) == (expected["loss"] == "mse")


def test_configurations_ship():
    assert len(list(CONFIGS.rglob("*.yaml"))) >= 9


@pytest.mark.parametrize(
    "override, found",
    [
        ("output=runs/take #2", "runs/take #2"),
        ("output=[a]", "[a]"),
        ("output='a b'", "'a b'"),
        ("output=a: b", "a: b"),
        ("output=011", "011"),
        ("output=no", "no"),
        ("output=", None),
        ("output=null", None),
        ("output=a=b", "a=b"),
        ("name=null", "null"),
        ("name=2024-13-45", "2024-13-45"),
        ("runtime.device=cpu", "cpu"),
    ],
)
def test_text_on_the_command_line_is_taken_as_it_stands(override, found):
    config = make_config({"name": "x"}, [override])
    for name in override.partition("=")[0].split("."):
        config = getattr(config, name)
    assert config == found


def test_names_in_a_list_stay_text():
    content = {"name": "x", "model": {"name": "vrt"}}
    config = make_config(content, ["evaluation.clips=[011, 1_000, no, '3']", "tiling.tile=[2, 64, 64]"])
    assert config.evaluation.clips == ["011", "1_000", "no", "3"] and config.tiling.tile == [2, 64, 64]


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["training.steps=3", "training.steps=300000"], "training.steps is given twice on the command line; give it once."),
        (["training={steps: 3}", "training.steps=4"], "training.steps is given beside training on the command line"),
        (["model.blocks=3", "model={name: revsci}"], "model is given beside model.blocks on the command line"),
    ],
)
def test_a_key_given_twice_on_the_command_line_is_refused(overrides, words):
    with pytest.raises(UserError) as caught:
        make_config({"name": "x"}, overrides)
    assert words in str(caught.value)


BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(12))


@pytest.mark.parametrize(
    "text, words",
    [
        ("training: {steps: 3}\nname: y\ntraining: {batch_size: 2}\n", "line 3 has the key 'training', as has line 1"),
        ("training:\n  steps: 3\n  steps: 4\n", "line 3 has the key 'steps'"),
        (BOMB, "it unfolds to more than 10000 values"),
        ("a: &a [*a]\n", "it unfolds to more than 10000 values"),
        ("a: " + "[" * 50_000, "nested too deeply"),
        ("a: " + "{b: " * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("a: 2024-13-45\n", "month must be in 1..12"),
        ("a: !!int x\n", "invalid literal"),
        ("a: " + "9" * 5000, "a value of 5000 letters"),
        ("a: !!float x\n", "could not convert"),
        ("a: !!binary 'ü'\n", "base64"),
        ("? [a, b]\n: c\n", "unhashable"),
        ("a: b\n" * 100_000, "too many for a YAML file"),
        ("a: " + "1:" * 30_000 + "1", "a value of 60001 letters"),
        ("a: [" + "1," * 30_000 + "]", "more than 10000 values"),
        ("a:\n  <<: {b: 1}\n  <<: {c: 1}\n", "has the key '<<'"),
        ("training: {steps: 0x" + "f" * 4000 + "}", "a whole number of 16000 bits"),
        ("\0", "not a readable YAML file"),
        ("a: *b\n", "undefined alias"),
    ],
)
def test_yaml_that_is_no_configuration_is_one_sentence_at_once(tmp_path, text, words):
    (tmp_path / "x.yaml").write_text(text)
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_config(tmp_path / "x.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500, caught.value
    assert time.monotonic() - started < 5


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "x.yaml").write_text("name: y\n", encoding="utf-8-sig")
    assert load_config(tmp_path / "x.yaml").name == "y"


def test_settings_may_stand_anywhere_on_a_command_line(capsys):
    options = cli.parsed(["eval", "mask.seed=1", "--gap-tv", "mask.density=0.4", "--report", "output=x #1"])
    assert options.overrides == ["mask.seed=1", "mask.density=0.4", "output=x #1"] and options.report and options.gap_tv
    for words in (["eval", "a=b", "--gt", "x", "nothing"], ["eval", "--gt", "x", "--nothing=3"], ["doctor", "a=b"]):
        with pytest.raises(SystemExit):
            cli.parsed(words)
    assert "unrecognized arguments" in capsys.readouterr().err
