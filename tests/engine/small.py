"""Requests for a tiny engine, and what the plain path answers to them."""

from kimi_vl.engine import Generation, Limits, SamplingParams

END_IDS = range(40, 60)  # of 512, so that answers end at different steps, and some do not


def plain(model, prompt, params):
    """Tokens, the end token included, and the reason, by the plain path."""
    ids, images = prompt
    generation = Generation(model, list(ids), params, end_ids=END_IDS, images=images)
    tokens = list(generation)
    return tokens, generation.finish_reason


def alone(model, prompt, params, number, tokens):
    """The answer of the plain path that is given these tokens behind the first `number` of its own."""
    ids, images = prompt
    generation, found = Generation(model, list(ids), params, end_ids=END_IDS, images=images), []
    if not number:
        generation.force(tokens)
    for token in generation:
        found.append(token)
        if len(found) == number:
            generation.force(tokens)
    return found, generation.finish_reason


def limits(**changed):
    return Limits(**{"num_pages": 64, "page_size": 8, "max_running": 8, "step_tokens": 64, **changed})


def submit(engine, prompt, **options):
    ids, images = prompt
    params = options.pop("params", SamplingParams(max_tokens=24))
    return engine.submit(ids, params, end_ids=END_IDS, images=images, **options)


def answer(request):
    """As `plain` gives it."""
    tokens = request.answer_ids
    return (tokens[:-1] if request.finish_reason == "stop" else tokens), request.finish_reason
