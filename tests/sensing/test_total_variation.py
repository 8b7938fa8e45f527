"""Total variation: scikit-image's results, and what it is for."""

import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle

from mindrestore.sensing.total_variation import denoise


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (13, 40), (64, 64)])
@pytest.mark.parametrize("weight, iterations", [(0.2, 5), (0.02, 1), (3.0, 40)])
def test_results_are_those_of_scikit_image(size, weight, iterations):
    image = np.random.default_rng(0).random(size).astype(np.float32)
    given = image.copy()
    expected = denoise_tv_chambolle(image, weight=weight, eps=0, max_num_iter=iterations)
    result = denoise(image, weight, iterations)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-6)
    np.testing.assert_array_equal(image, given)


def test_noise_goes_and_an_edge_stays():
    clean = np.repeat([0.2, 0.8], 32).astype(np.float32) * np.ones((64, 1), np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype(np.float32)
    result = denoise(noisy, 0.15, 200)
    assert np.abs(result - clean).mean() < 0.25 * np.abs(noisy - clean).mean()
    assert result[:, 32].mean() - result[:, 31].mean() > 0.5
