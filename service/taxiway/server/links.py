"""Addresses of archived images, which open without a key: for browsers, which send none, and for other people.

A link says until when it is good, and proves with the service's own key that nobody has changed that. It stays
the same for a day, so that caches can hold what it leads to, and is good for at least one more.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

from taxiway.errors import PermissionDeniedError
from taxiway.jobs import Image, Job
from taxiway.settings import Secret

#: The route of an image, as the URL map names it.
IMAGE = "/v1/jobs/{id}/images/{n}"

#: A link made at any time of a day is good until the end of the next one.
DAY_S = 86_400

#: What the key of links is derived for: a link must prove nothing anywhere else.
_PURPOSE = b"taxiway image links 1"


class Links:
    """Makes links, and knows its own. Every replica with the same master key knows them too.

    Without a master key everybody is served, so links bear no signature, and need none.
    """

    def __init__(
        self, *, public_url: str | None, master_key: Secret | None, now: Callable[[], float]
    ) -> None:
        self._public_url = public_url
        self._now = now
        self._key: bytes | None = None
        if master_key is not None:
            secret = master_key.reveal().encode("utf-8", "surrogateescape")
            self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def url(self, job: Job, image: Image) -> str:
        """Return the address of an image: ours where it is archived and our own address is known.

        Where it is not, that of the provider; and of an image that has none, the path of ours.
        """
        if image.url and (image.archived is None or self._public_url is None):
            return image.url
        ours = self._public_url or ""
        path = image_path(job.id, image.index)
        if self._key is None:
            return ours + path
        expires = (int(self._now()) // DAY_S + 2) * DAY_S
        return f"{ours}{path}?exp={expires}&sig={self._signature(path, str(expires))}"

    def admit(self, path: str, query: Mapping[str, str]) -> bool:
        """Return whether a request comes with a link of ours; False for one that bears no signature.

        Raises `PermissionDeniedError` (`invalid_link`, `link_expired`).
        """
        signature = query.get("sig")
        if signature is None or self._key is None:
            return False
        expires = query.get("exp", "")
        known = self._signature(path, expires)
        if not hmac.compare_digest(known.encode(), signature.encode("utf-8", "surrogateescape")):
            raise PermissionDeniedError("The link is not one of this service.", code="invalid_link")
        if self._now() >= int(expires):
            raise PermissionDeniedError(
                "The link has expired; GET /v1/jobs/{id} has a fresh one.", code="link_expired"
            )
        return True

    def _signature(self, path: str, expires: str) -> str:
        text = f"{path}\n{expires}".encode("utf-8", "surrogateescape")
        signature = hmac.digest(self._key or b"", text, hashlib.sha256)
        return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def image_path(job_id: str, index: int) -> str:
    """Return the path of an image."""
    return f"/v1/jobs/{job_id}/images/{index}"
