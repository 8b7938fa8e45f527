"""Task 001's training samples as a PyTorch data set: windows, patches and augmentation as ``mindrestore.data`` draws them."""

import os
from pathlib import Path

import cv2
import lmdb
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler


class Numbers(Sampler):
    """The samples' numbers in ``range``, in order; each pass of a DataLoader takes those that are set when it begins."""

    range = range(0)

    def __iter__(self):
        return iter(self.range)

    def __len__(self):
        return len(self.range)


class Samples(Dataset):
    """Sample ``n`` is a pair of clips, ground truth and low quality, (T, 3, H, W) float32 0–1, decided by ``n`` alone."""

    def __init__(self, gt, lq, frames, patch, scale, seed=0):
        self.gt, self.lq, self.frames, self.patch, self.scale, self.seed = gt, lq, frames, patch, scale, seed
        self.reader = _Lmdb if (Path(gt) / "data.mdb").exists() else _Folder
        clips = {}
        for clip, frame in self.reader.names(Path(gt)):
            clips.setdefault(clip, []).append(frame)
        self.windows = [
            [f"{clip}/{frame}" for frame in names[start : start + frames]]
            for clip, names in sorted(clips.items())
            for start in range(len(names) - frames + 1)
        ]
        self._readers = None

    def __getitem__(self, number):
        if self._readers is None:  # in the process that reads
            self._readers = self.reader(self.gt), self.reader(self.lq)
        lap, place = divmod(number, len(self.windows))
        order = np.random.default_rng([self.seed, lap, len(self.windows)]).permutation(len(self.windows))
        names = self.windows[order[place]]
        gt, lq = ([reader.read(name) for name in names] for reader in self._readers)
        rng = np.random.default_rng([self.seed, number])
        patch = self.patch // self.scale
        top, left = (int(rng.integers(side - patch + 1)) for side in lq[0].shape[:2])
        mirrors = rng.random(3) < 0.5  # left-right, top-bottom, transposed
        scale = self.scale
        return (_clip(gt, top * scale, left * scale, self.patch, *mirrors), _clip(lq, top, left, patch, *mirrors))


def _clip(frames, top, left, side, left_right, top_bottom, transposed):
    patches = []
    for frame in frames:
        patch = cv2.cvtColor(frame[top : top + side, left : left + side], cv2.COLOR_BGR2RGB)
        if left_right:
            patch = cv2.flip(patch, 1)
        if top_bottom:
            patch = cv2.flip(patch, 0)
        patches.append(cv2.transpose(patch) if transposed else patch)
    return torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).contiguous().float().div_(255)


class _Folder:
    def __init__(self, root):
        self.root = root

    @staticmethod
    def names(root):
        return sorted(path.relative_to(root).with_suffix("").parts for path in root.glob("*/*.png"))

    def read(self, name):
        return cv2.imdecode(np.fromfile(f"{self.root}/{name}.png", np.uint8), cv2.IMREAD_COLOR)


class _Lmdb:
    def __init__(self, root):
        self.environment = lmdb.open(root, readonly=True, lock=False, readahead=False, meminit=False)

    @staticmethod
    def names(root):
        lines = (root / "meta_info.txt").read_text().splitlines()
        return sorted(os.path.splitext(line.split()[0])[0].split("/") for line in lines)

    def read(self, name):
        with self.environment.begin(buffers=True) as transaction:
            return cv2.imdecode(np.frombuffer(transaction.get(name.encode()), np.uint8), cv2.IMREAD_COLOR)
