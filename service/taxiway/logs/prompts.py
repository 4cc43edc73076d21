"""What a log may say of a prompt: how long it is, and whether it is the same as another."""

import hashlib
import secrets

#: A shorter prompt is found in innocent words, so it is not looked for.
_SOUGHT_MIN = 8

_DIGEST_BYTES = 8


class Prompts:
    """Describes prompts without showing them, unless `shown`.

    `key` belongs to one installation: with it, equal prompts are recognised over restarts and replicas. A plain
    digest would not do, since short prompts can be guessed.
    """

    def __init__(self, key: bytes | None, *, shown: bool) -> None:
        self._key = hashlib.sha256(key).digest() if key else secrets.token_bytes(32)
        self._shown = shown

    def fields(self, prompt: str) -> dict[str, object]:
        """Return the fields that stand for a prompt."""
        # BLAKE2 takes a key by itself, and is the cheaper for it.
        digest = hashlib.blake2b(
            prompt.encode(errors="replace"), key=self._key, digest_size=_DIGEST_BYTES
        )
        fields: dict[str, object] = {
            "prompt_chars": len(prompt),
            "prompt_hmac": digest.hexdigest(),
        }
        if self._shown:
            fields["prompt"] = prompt
        return fields

    def without(self, prompt: str, text: str | None) -> str | None:
        """Return somebody else's text without the prompt it may quote."""
        if text is None or self._shown or len(prompt) < _SOUGHT_MIN:
            return text
        return text.replace(prompt, "[prompt]")
