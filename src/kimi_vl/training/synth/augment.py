"""What printing, photographing and compressing do to a page. Character centres move along with the pixels."""

import random
from functools import lru_cache

import cv2
import numpy as np

from kimi_vl.training.synth.content import MIN_X_HEIGHT

NOISE_LEVELS = (2, 4, 6, 9, 12)  # standard deviations in grey levels
BANK = (1024, 1024)  # noise is cut from a fixed picture: drawing it anew takes 2 ms for 448x448
TOUCHED = 0.62  # share of samples that enter the chain at severity 1; about 0.55 come out changed


def augment(
    rng: random.Random, image: np.ndarray, chars: np.ndarray, *, x_height: float, severity: float = 1.0, coloured: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Degrade uint8 [H, W, 3] and move chars [n, 3] along; returns both, the picture of the same size.

    `x_height` is the smallest text's, in pixels: no step brings it below MIN_X_HEIGHT. `severity` scales shares and strengths;
    0 returns the arguments unchanged. A row of `chars` with code point 0 is a mere place, which may leave the picture.
    `coloured` pictures keep their colours.
    """
    if rng.random() >= TOUCHED * severity:
        return image, chars
    s = min(severity, 1.5)
    chance = rng.random
    if chance() < 0.15 and not coloured:
        image = _grey(image)
    if chance() < 0.12:
        image = _fade(rng, image, s)
    if chance() < 0.15:
        image = _texture(rng, image, s)
    if chance() < 0.40:
        image, chars = _tilt(rng, image, chars, s, x_height)
    if chance() < 0.30:
        image = _light(rng, image, s)
    if chance() < 0.20:
        image = _resample(rng, image, x_height)
    if chance() < 0.28:
        image = _blur(rng, image, s, x_height)
    if chance() < 0.05 * s and x_height >= 9 and not coloured:
        image = _two_tone(image)
    if chance() < 0.30:
        image = _noise(rng, image, s)
    if chance() < 0.35:
        image = _jpeg(rng, image, s)
    return image, chars


def _tilt(rng: random.Random, image: np.ndarray, chars: np.ndarray, s: float, x_height: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotation up to 2.5 degrees and perspective up to 2.5 %, halved until no character leaves the picture.

    What comes into view beside the page is more of the page, or, as in a photograph, whatever it lies on.
    """
    height, width = image.shape[:2]
    angle = max(-2.5, min(2.5, rng.gauss(0, 1.1 * s)))
    bend = [rng.uniform(-0.025, 0.025) * s for _ in range(4)] if rng.random() < 0.5 else [0.0] * 4
    lying = rng.random() < 0.2 and height >= 196
    zoom = rng.uniform(max(0.86, min(1.0, MIN_X_HEIGHT / x_height)), 1.0) if lying else rng.uniform(0.98, 1.02)
    border = cv2.BORDER_CONSTANT if lying else rng.choice((cv2.BORDER_REPLICATE, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101))
    ground = [rng.randrange(200) for _ in range(3)]
    for _ in range(4):
        matrix = _warp_matrix(width, height, angle, zoom, bend)
        moved = _move(chars, matrix)
        inside = (moved[:, 1] > 4) & (moved[:, 1] < width - 4) & (moved[:, 2] > 5) & (moved[:, 2] < height - 5)
        if (inside | (moved[:, 0] == 0)).all():
            if any(bend):
                return cv2.warpPerspective(image, matrix, (width, height), borderMode=border, borderValue=ground), moved
            return cv2.warpAffine(image, matrix[:2], (width, height), borderMode=border, borderValue=ground), moved
        angle, zoom, bend = angle / 2, (1 + zoom) / 2, [b / 2 for b in bend]
    return image, chars


def _warp_matrix(width: int, height: int, angle: float, zoom: float, bend: list[float]) -> np.ndarray:
    """Rotation about the middle, then each side's ends pulled by the shares in `bend`."""
    matrix = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom), [0, 0, 1]])
    if not any(bend):
        return matrix
    a, b, c, d = bend
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    pulled = corners + np.array([[a * width, b * height], [-c * width, d * height], [c * width, -b * height], [-a * width, -d * height]])
    return cv2.getPerspectiveTransform(corners, pulled.astype(np.float32)) @ matrix


def _move(chars: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    points = chars[:, 1:] @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([chars[:, :1], points[:, :2] / points[:, 2:]], axis=1).astype(np.float32)


def _grey(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.merge([grey, grey, grey])


def _two_tone(image: np.ndarray) -> np.ndarray:
    """Black and white as from a fax, cut at Otsu's threshold; left alone where that would swallow weak contrasts."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    threshold, cut = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark, light = cv2.mean(grey, 255 - cut)[0], cv2.mean(grey, cut)[0]
    return cv2.merge([cut, cut, cut]) if light - dark > 90 and 60 < threshold < 200 else image


def _fade(rng: random.Random, image: np.ndarray, s: float) -> np.ndarray:
    """Less contrast, as from a worn ribbon; some ink is missing altogether."""
    keep = rng.uniform(0.6, 0.9) if s >= 1 else rng.uniform(0.8, 0.95)
    level = rng.randint(60, 200)
    faded = cv2.convertScaleAbs(image, alpha=keep, beta=(1 - keep) * level)
    if rng.random() < 0.4:
        speck, _ = _noise_bank(12)
        faded = cv2.add(faded, cv2.convertScaleAbs(_cut(rng, speck, image), alpha=3.0, beta=-40 * s))
    return faded


def _texture(rng: random.Random, image: np.ndarray, s: float) -> np.ndarray:
    """Fibres and clouds of paper: darker in places, by at most 10 %."""
    grain = _cut(rng, _paper_bank(), image)
    return cv2.multiply(image, cv2.convertScaleAbs(grain, alpha=-rng.uniform(0.15, 0.4) * s, beta=255), scale=1 / 255)


def _light(rng: random.Random, image: np.ndarray, s: float) -> np.ndarray:
    """A soft gradient of light, sometimes with the edge of a shadow."""
    height, width = image.shape[:2]
    depth = rng.uniform(0.1, 0.45) * min(s, 1.2)
    coarse = np.array([[1 - depth * rng.random() for _ in range(3)] for _ in range(3)], np.float32)
    gain = cv2.resize(
        (coarse * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    )
    if rng.random() < 0.35:
        corners = np.array([[rng.randint(-width, width), rng.randint(-height, height)] for _ in range(4)], np.int32)
        corners[2:] += (width, height)
        veil = np.full((height // 4 + 1, width // 4 + 1), 255, np.uint8)
        cv2.fillConvexPoly(veil, cv2.convexHull(corners) // 4, int(255 * rng.uniform(0.6, 0.85)))
        veil = cv2.GaussianBlur(veil, (0, 0), rng.uniform(0.8, 6))
        gain = cv2.multiply(gain, cv2.resize(veil, (width, height)), scale=1 / 255)
    return cv2.multiply(image, cv2.merge([gain, gain, gain]), scale=1 / 255)


def _resample(rng: random.Random, image: np.ndarray, x_height: float) -> np.ndarray:
    """Fewer pixels and back, as a screenshot that was shrunk."""
    height, width = image.shape[:2]
    low = max(0.5, MIN_X_HEIGHT / x_height)
    if low >= 0.97:
        return image
    share = rng.uniform(low, 1.0)
    shrink = cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_LINEAR
    small = cv2.resize(image, (max(8, round(width * share)), max(8, round(height * share))), interpolation=shrink)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR)


def _blur(rng: random.Random, image: np.ndarray, s: float, x_height: float) -> np.ndarray:
    """Out of focus, or moved; at most a tenth of the x-height wide (standard deviation)."""
    if rng.random() < 0.7:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, max(0.5, 0.1 * x_height)) * min(1.0, s))
    length = 3 if x_height < 12 else 5
    kernel = np.zeros((length, length), np.float32)
    if rng.random() < 0.5:
        kernel[length // 2, :] = 1 / length
    else:
        kernel[:, length // 2] = 1 / length
    return cv2.filter2D(image, -1, kernel)


def _noise(rng: random.Random, image: np.ndarray, s: float) -> np.ndarray:
    level = NOISE_LEVELS[min(len(NOISE_LEVELS) - 1, int(rng.random() * len(NOISE_LEVELS) * min(1.0, s)))]
    up, down = _noise_bank(level)
    return cv2.subtract(cv2.add(image, _cut(rng, up, image)), _cut(rng, down, image))


def _jpeg(rng: random.Random, image: np.ndarray, s: float) -> np.ndarray:
    quality = rng.randint(max(20, round(90 - 50 * s)), 92)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def _cut(rng: random.Random, bank: np.ndarray, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    y, x = rng.randrange(BANK[0] - height + 1), rng.randrange(BANK[1] - width + 1)
    return bank[y : y + height, x : x + width]


@lru_cache(maxsize=len(NOISE_LEVELS))
def _noise_bank(level: int) -> tuple[np.ndarray, np.ndarray]:
    """What to add and what to subtract, uint8 [1024, 1024, 3] each; half of the noise is the same in all colours."""
    rng = np.random.default_rng(level)
    noise = rng.standard_normal((*BANK, 3), dtype=np.float32) * level * 0.6
    noise += rng.standard_normal((*BANK, 1), dtype=np.float32) * level * 0.8
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _paper_bank() -> np.ndarray:
    """Noise at four scales, uint8 [1024, 1024, 3], mean about 60."""
    rng = np.random.default_rng(0)
    total = np.zeros(BANK, np.float32)
    for cells, weight in ((16, 30), (64, 20), (256, 20), (1024, 15)):
        coarse = rng.random((cells, cells), dtype=np.float32)
        total += weight * cv2.resize(coarse, BANK, interpolation=cv2.INTER_CUBIC)
    grain = np.clip(total, 0, 255).astype(np.uint8)
    return cv2.merge([grain, grain, grain])
