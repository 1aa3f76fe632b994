"""Images as the engine takes them: named by every byte, cut where the model is."""

import asyncio
import threading

import pytest
import torch

from kimi_vl.engine import AsyncEngine, Engine, Pictures, SamplingParams, Tokens, pictures, runner
from kimi_vl.engine.pictures import ENCODED_PATCHES, Image, encoded_together
from kimi_vl.engine.prefix import PART_BYTES, image_digest
from kimi_vl.errors import InputError, ShapeError
from tests.engine.small import END_IDS, answer, limits, plain, submit


def seen_as_patches(patches, rows, columns):
    """Patches [P, 3, patch, patch] put together to a picture, and a view of that."""
    whole = patches.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).contiguous()
    return whole.permute(0, 2, 4, 1, 3)


def normalise(patches):
    return patches.float() / 255 - 0.5


@pytest.fixture
def prompt(prompts):
    """Ids, and an image as bytes."""
    ids, (pixels, grids) = prompts[5]
    return ids, (pixels.abs() * 60).clamp(0, 255).to(torch.uint8), grids


def test_a_digest_tells_images_apart_by_all_that_they_are():
    patches = torch.randint(0, 256, (48, 3, 14, 14), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    same = [image_digest(patches.clone(), (6, 8), "a"), image_digest(patches.repeat_interleave(2, 0)[::2], (6, 8), "a")]
    others = [
        image_digest(patches, (8, 6), "a"),
        image_digest(patches, (6, 8), "b"),
        image_digest(patches, (6, 8), ""),
        image_digest(patches.view(torch.int8), (6, 8), "a"),
        image_digest(patches.view(48, 14, 3, 14), (6, 8), "a"),
        image_digest(patches.view(6, 8, 3, 14, 14), (6, 8), "a"),
        image_digest(seen_as_patches(patches, 6, 8), (6, 8), "a"),
        # The same bytes in memory as `patches`, that mean another picture.
        image_digest(patches.view(6, 14, 8, 14, 3).permute(0, 2, 4, 1, 3), (6, 8), "a"),
        image_digest(normalise(patches), (6, 8), "a"),
    ]
    assert set(same) == {image_digest(patches, (6, 8), "a")}
    assert len({*same, *others}) == 1 + len(others)


@pytest.mark.parametrize("count", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES + 7])
def test_a_digest_tells_every_byte_and_their_number(count):
    data = torch.zeros(count, 1, 1, 1, dtype=torch.uint8)
    digests = [image_digest(data, (1, 1), ""), image_digest(torch.zeros(count + 1, 1, 1, 1, dtype=torch.uint8), (1, 1), "")]
    places = {0, count // 2, count - 1, *range(0, count, PART_BYTES), *range(PART_BYTES - 1, count, PART_BYTES)}
    for place in places:
        data[place] = 1
        digests.append(image_digest(data, (1, 1), ""))
        data[place] = 0
    assert len(set(digests)) == 2 + len(places)
    assert image_digest(data, (1, 1), "") == digests[0]


def test_parts_of_an_image_cannot_change_places():
    data = torch.zeros(3 * PART_BYTES, 1, 1, 1, dtype=torch.uint8)
    data[:PART_BYTES] = 1
    assert image_digest(data, (1, 1), "") != image_digest(data.roll(PART_BYTES, 0), (1, 1), "")


@pytest.mark.parametrize("rows", [False, True])
def test_a_picture_may_be_cut_where_the_model_is(model, prompt, rows):
    ids, patches, grids = prompt
    expected = plain(model, (ids, (normalise(patches), grids)), SamplingParams(max_tokens=24))
    engine = Engine(model, limits(), rows=rows, normalise=normalise)
    for images in (Pictures.of(patches, grids), Pictures.uncut([seen_as_patches(patches, *grids[0])]), (patches, grids)):
        (request,) = submit(engine, (ids, images))
        while not engine.is_idle:
            engine.step()
        assert answer(request) == expected


def test_pictures_named_for_one_tenant_are_not_taken_from_another(model, prompt):
    ids, patches, grids = prompt
    engine = Engine(model, limits(), normalise=normalise)
    with pytest.raises(InputError, match="named for tenant 'a' and the prompt is of 'b'"):
        submit(engine, (ids, Pictures.of(patches, grids, "a")), tenant="b")
    assert engine.is_idle


def test_what_is_no_picture_is_refused(model, prompt):
    ids, patches, grids = prompt
    with pytest.raises(ShapeError, match=r"must be \[rows, columns, 3, patch, patch\]"):
        Pictures.uncut([patches])
    with pytest.raises(ShapeError, match=r"must be \[rows, columns, 3, patch, patch\]"):
        Pictures.uncut([patches.view(*grids[0], 14, 3, 14)])
    with pytest.raises(ShapeError, match="uint8, and this engine was made without"):
        submit(Engine(model, limits()), (ids, Pictures.uncut([seen_as_patches(patches, *grids[0])])))


def test_the_engine_s_thread_reads_no_pictures(model, prompt, monkeypatch):
    ids, patches, grids = prompt
    readers = []
    monkeypatch.setattr(pictures, "image_digest", lambda *image: readers.append(threading.current_thread().name) or image_digest(*image))

    async def ask():
        front = AsyncEngine(Engine(model, limits(), normalise=normalise))
        try:
            with pytest.raises(ShapeError, match="the grids"):
                await front.submit(Tokens, ids, SamplingParams(), end_ids=END_IDS, images=(patches, [(2, 2)]))
            options = {"end_ids": END_IDS, "images": (patches, grids), "tenant": "a"}
            (stream,) = await front.submit(Tokens, ids, SamplingParams(max_tokens=24), **options)
            return [token async for token in stream], stream.request
        finally:
            await front.close()

    tokens, request = asyncio.run(asyncio.wait_for(ask(), 60))
    assert tokens == request.answer_ids
    assert readers
    assert not {"engine", threading.main_thread().name} & set(readers)


@pytest.mark.parametrize(
    ("grids", "most", "expected"),
    [
        ([], 100, []),
        ([(2, 2)] * 3, 0, [1, 1, 1]),
        ([(2, 2)] * 5, 8, [2, 2, 1]),
        ([(2, 2), (8, 8), (2, 2), (2, 2)], 8, [1, 1, 2]),
        ([(128, 128)] * 2 + [(64, 64)] * 5, ENCODED_PATCHES, [1, 1, 4, 1]),
    ],
)
def test_images_are_encoded_in_groups_that_are_bounded(grids, most, expected):
    images = [Image(torch.empty(0), grid, bytes([k])) for k, grid in enumerate(grids)]
    groups = list(encoded_together(images, most))
    assert [len(group) for group in groups] == expected
    assert [image for group in groups for image in group] == images


def test_features_do_not_depend_on_the_group_that_an_image_is_encoded_in(model, prompts, monkeypatch):
    encoded, encode = [], model.image_features
    monkeypatch.setattr(model, "image_features", lambda pixels, grids: encoded.append(len(grids)) or encode(pixels, grids))
    answers = []
    for most in (0, ENCODED_PATCHES):
        monkeypatch.setattr(runner, "ENCODED_PATCHES", most)
        engine = Engine(model, limits(step_tokens=256))
        asked = [submit(engine, prompts[k])[0] for k in (5, 6, 7)]
        while not engine.is_idle:
            engine.step()
        answers.append([answer(request) for request in asked])
    assert answers[0] == answers[1]
    assert max(encoded[: len(encoded) // 2]) == 1 < max(encoded)
