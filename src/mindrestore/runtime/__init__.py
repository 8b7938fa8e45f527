"""Everything that must know which device or MindSpore release it runs on.

    session.py     prepares a run; device.py, precision.py and environment.py under it
    release.py     what this release of MindSpore does to the whole process, and how that is avoided
    execution.py   compiled functions, and what MindSpore's compiler refuses
    cluster.py     processes that train together; starts.py says who started them
    dataset.py     samples through MindSpore's dataset engine
    mindir.py      graphs in files, run by MindSpore; onnx_file.py, run without it
    process.py     memory and subnormal numbers of this process
    processor.py, convolution_probe.py, accelerators.py, ascend_server.py   what the machine has, and how fast it is

With another release of MindSpore look through release.py, execution.py and cluster.py first.
"""
