"""Everything that must know which device or MindSpore release it runs on."""
