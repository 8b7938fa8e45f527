"""Training: steps, logs, validation, saving and resuming.

trainer.py    train: runs a job, whatever it trains
job.py        what the trainer knows of it; video_job.py, snapshot_job.py and flow_job.py make one of a configuration
step.py       one step; gradients.py, loss_scale.py, losses.py, optimizers.py and average.py under it
callbacks.py  what happens between steps; validation.py, state.py and log.py under it
curves.py     pictures of logs
"""
