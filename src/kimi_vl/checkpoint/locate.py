"""From what the user typed to a folder: the embedded nano, a folder on disk, or a repository on the Hugging Face hub."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from kimi_vl.checkpoint.reader import PICKLE_SUFFIXES, CheckpointReader, describe_names
from kimi_vl.errors import CheckpointError

NANO = "nano"

# Only data travels: no Python files, no pickles.
DOWNLOADED = ["*.safetensors", "*.json", "tiktoken.model", "*.jinja"]

FACTS = ["config.json", "preprocessor_config.json"]  # what there is to know of a checkpoint without its weights

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def locate_checkpoint(name: str | Path | None = None) -> Path:
    """The folder of a checkpoint.

    None or "nano" is the checkpoint inside this package; an existing path must be a folder with a config.json; anything else of the
    form "owner/name" is a hub repository, taken from the local cache when it is complete there and downloaded otherwise.
    Raises: CheckpointError with the next step.
    """
    if name is None or name == NANO:
        return _embedded()
    path = Path(name).expanduser()
    if path.exists():
        return _checked_folder(path)
    if isinstance(name, str) and _HUB_ID.fullmatch(name):
        return _from_hub(name)
    raise CheckpointError(
        f"{str(name)!r} is neither a folder nor a hub id; pass 'nano', a folder, or a name like 'moonshotai/Kimi-VL-A3B-Thinking-2506'"
    )


def locate_facts(repo_id: str) -> Path:
    """A folder with the two files of a hub repository that say how large everything is, without its weights.

    Raises: CheckpointError with the next step.
    """
    if not _HUB_ID.fullmatch(repo_id):
        raise CheckpointError(f"{repo_id!r} is neither a folder nor a hub id; a hub id is a name like 'moonshotai/Kimi-VL-A3B-Instruct'")
    return _download(repo_id, FACTS)


def _embedded() -> Path:
    folder = Path(str(files("kimi_vl.checkpoint"))) / NANO
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"this installation lacks the embedded checkpoint ({folder}); reinstall kimi-vl, or pass a folder or a hub id"
        )
    return folder


def _checked_folder(path: Path) -> Path:
    if not path.is_dir():
        kind = "pickle weights, which are never read" if path.suffix in PICKLE_SUFFIXES else "a file"
        raise CheckpointError(f"{path} is {kind}; pass the folder that holds config.json and the safetensors files (here {path.parent})")
    if not (path / "config.json").is_file():
        found = sorted(entry.name for entry in path.iterdir())
        snapshots = sorted(path.glob("snapshots/*/config.json"))
        hint = f"; did you mean {snapshots[-1].parent}?" if snapshots else ""
        raise CheckpointError(f"{path} has no config.json, so it is not a checkpoint folder; it holds {describe_names(found)}{hint}")
    return path


def _from_hub(repo_id: str) -> Path:
    # Imported here because it costs 0.3 s that an offline start with nano or a folder need not pay.
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(huggingface_hub.snapshot_download(repo_id, allow_patterns=DOWNLOADED, local_files_only=True))
        with CheckpointReader(folder):
            return folder
    except HFValidationError as error:
        raise CheckpointError(f"{repo_id!r} is neither a folder nor a valid hub id: {error}") from None
    except (LocalEntryNotFoundError, CheckpointError):  # nothing cached, or only a part of it
        return _download(repo_id)


def _download(repo_id: str, patterns: list[str] = DOWNLOADED) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(huggingface_hub.snapshot_download(repo_id, allow_patterns=patterns))
    except errors.GatedRepoError:
        reason = "access is gated; accept its terms on huggingface.co and log in with `hf auth login`"
    except errors.RepositoryNotFoundError:
        reason = "the hub has no such repository, or it is private; check the spelling, or log in with `hf auth login`"
    except errors.LocalEntryNotFoundError:
        reason = "the hub cannot be reached and no complete copy is cached; connect to the network, unset HF_HUB_OFFLINE, or pass 'nano'"
    except (errors.HTTPError, OSError, RuntimeError) as error:
        reason = (
            f"the download stopped ({type(error).__name__}: {str(error).splitlines()[0][:200]}); run the same command again to resume it"
        )
    raise CheckpointError(f"{repo_id} cannot be loaded: {reason}")
