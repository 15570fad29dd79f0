"""The model `revision` of lmms-eval: one visual token a question, greedy answers."""

from pathlib import Path
from typing import Any, NoReturn

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from revision.errors import ConfigError
from revision.evaluation.images import ImageEmbeddings

NEW_TOKENS = 1024
"""Longest answer where a task does not say one (MMStar's): what most models of lmms-eval take then."""


class ReVisionLmms(lmms):
    """A checkpoint under lmms-eval. A question must have exactly one image: it becomes the one visual token.

    `checkpoint` is the folder of a ReVisionModel and `encoder` the folder of the encoder whose embeddings it reads; a
    text-only model, one without a projector, needs none. `precision` bf16 loads the LLM in bfloat16;
    without `device` it is spread over all accelerators that there are. `images` shares embeddings between checkpoints
    of one process; it replaces `encoder`.
    """

    is_simple = True

    def __init__(
        self,
        checkpoint: str | Path,
        encoder: str | Path | None = None,
        batch_size: int | str = 512,
        device: str | None = None,
        precision: str = "no",
        images: ImageEmbeddings | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        unknown.pop("max_batch_size", None)
        if unknown:
            known = "checkpoint, encoder, batch_size, device, precision"
            raise ConfigError(f"model revision: unknown {', '.join(sorted(unknown))}; the arguments are {known}")
        from revision.mllm.model import DTYPES, ReVisionModel, whole_model_device

        if precision not in DTYPES:
            raise ConfigError(f"model revision: precision {precision!r} is none of {', '.join(DTYPES)}")
        self.batch_size = int(batch_size)
        self._model: Any = ReVisionModel.load(checkpoint, device or whole_model_device(), DTYPES[precision])
        if images is None and encoder is not None:
            images = ImageEmbeddings(encoder)
        if images is None and self._model.projector is not None:
            raise ConfigError(f"model revision: {checkpoint} reads images; give encoder=<folder>")
        self.images = None if self._model.projector is None else images

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answer every request greedily; batches are drawn from requests sorted by length."""
        if self.images is not None:
            self.images.add(self._images(requests))
        answers = [""] * len(requests)
        order = sorted(range(len(requests)), key=lambda row: _length(requests[row]))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            by_budget: dict[int, list[int]] = {}
            for row in rows:
                by_budget.setdefault(_new_tokens(requests[row]), []).append(row)
            for new_tokens, members in by_budget.items():
                texts = self._generate([requests[row] for row in members], new_tokens)
                for row, text in zip(members, texts, strict=True):
                    answers[row] = _cut(text, requests[row].args[1].get("until") or ())
        return answers

    def _generate(self, requests: list[Instance], new_tokens: int) -> list[str]:
        prompts = [request.args[0] for request in requests]
        if self.images is not None:
            seen = self.images.take([_place(request) for request in requests])
            return self._model.generate(prompts, seen, max_new_tokens=new_tokens)
        # Without images many questions are the same one: each is answered once.
        different = list(dict.fromkeys(prompts))
        texts = self._model.generate(different, None, max_new_tokens=new_tokens)
        answer = dict(zip(different, texts, strict=True))
        return [answer[prompt] for prompt in prompts]

    def loglikelihood(self, requests: list[Instance]) -> NoReturn:
        """Refuse: the tasks of this package are generative."""
        raise NotImplementedError("model revision answers generate_until tasks only")

    def generate_until_multi_round(self, requests: list[Instance]) -> NoReturn:
        """Refuse: the tasks of this package have one round."""
        raise NotImplementedError("model revision answers generate_until tasks only")

    def clean(self) -> None:
        """Let the weights go once all answers are there; lmms-eval calls this before it scores."""
        self._model = None

    def _images(self, requests: list[Instance]) -> Any:
        for request in requests:
            place = _place(request)
            if self.images is not None and place in self.images:
                continue
            _, _, doc_to_visual, doc_id, task, split = request.args
            visuals = doc_to_visual(self.task_dict[task][split][doc_id])
            if len(visuals) != 1:
                raise ConfigError(
                    f"{task} {doc_id}: {len(visuals)} images; the model reads exactly one: leave the question out"
                )
            yield place, visuals[0]


def _place(request: Instance) -> tuple[str, str, int]:
    _, _, _, doc_id, task, split = request.args
    return task, split, doc_id


def _length(request: Instance) -> tuple[int, str]:
    prompt = request.args[0]
    return len(prompt.split()), prompt


def _new_tokens(request: Instance) -> int:
    settings = request.args[1]
    if settings.get("do_sample") or settings.get("num_beams", 1) != 1:
        raise ConfigError(f"{request.task_name}: model revision decodes greedily; set do_sample false and num_beams 1")
    return int(settings.get("max_new_tokens", NEW_TOKENS))


def _cut(text: str, stops: Any) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop, 1)[0]
    return text.strip()
