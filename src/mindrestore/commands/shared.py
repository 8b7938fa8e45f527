"""What the commands that read a configuration share: their options, and what these mean for it."""
from mindrestore.errors import UserError


def command(commands, name, run, summary, details=""):
    """Add a command called ``name`` that ``run(options)`` carries out; return its parser."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {details}")
    parser.set_defaults(run=run)
    return parser


def common(parser):
    """Add the options that all of them have."""
    parser.add_argument("--device", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")
    precision(parser)
    parser.add_argument("--output", help="folder, or for export the file, of the results")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, such as training.steps=100")


def precision(parser):
    """Add the option ``--precision``."""
    parser.add_argument("--precision", choices=("float32", "float16"), help="what is multiplied and convolved in; default: "
                        "float32. float16 is for GPU and Ascend: flows, normalisation and softmax stay float32")


def overrides_of(options):
    """Return the settings that ``common`` options ask for, as ``key=value``."""
    overrides = list(options.overrides)
    if options.device:
        overrides.append(f"runtime.device={options.device}")
    if options.precision:
        overrides.append(f"runtime.precision={options.precision}")
    if options.output:
        overrides.append(f"output={quoted(options.output)}")
    return overrides


def quoted(text):
    """Return a text as YAML takes it for one."""
    return "'" + text.replace("'", "''") + "'"


def of_whole_network(config):
    """Return ``config``; ``UserError`` where it is of a part that is only trained by itself."""
    from mindrestore.models import kind_of
    kind = kind_of(config.model.name)
    if kind.part_of:
        title, example = kind.part_of
        raise UserError(f"configuration {config.name}: {kind.title} is trained by itself but used as a part of {title}; give "
                        f"the configuration of a {title}, such as {example}.")
    return config


def start(config):
    """Prepare MindSpore as the configuration says."""
    from mindrestore import native
    from mindrestore.runtime import cluster, session
    cluster.refuse_other_starts()
    session.start(config.runtime.device, config.runtime.mode, config.runtime.threads, config.runtime.precision)
    native.use(config.runtime.native)


def loaded_for(config, options):
    """Return the network of a command as ``Loaded``: that of its configuration file; without one, what its checkpoint holds,
    by default what ships, and ``config.model`` becomes that network's settings.
    """
    from mindrestore.checkpoints.loading import load, load_for_settings, shipped
    from mindrestore.models import kind_of
    checkpoint = options.checkpoint or config.checkpoint
    if options.config:
        return load_for_settings(config.model, checkpoint, config.name)
    loaded = load(checkpoint or shipped(config.model.abilities.tasks[0]))
    kind = kind_of(loaded.metadata.kind)
    if kind.problem == config.problem:
        config.model = kind.settings.of(loaded.metadata.settings)
    return loaded
