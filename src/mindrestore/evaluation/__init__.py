"""Evaluation: scores, tables and reports.

video.py      restores and scores clips; video_tasks.py says by task what is restored and compared, video_results.py scores
snapshots.py  reconstructs and scores scenes; snapshot_scenes.py says which, through which mask, snapshot_results.py scores
results.py    tables, JSON and CSV of either; report.py the page in HTML
"""
