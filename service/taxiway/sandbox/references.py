"""Rules for reference images, as far as they can be told from the body alone."""

import re
from collections import Counter
from typing import Any

from taxiway.sandbox.models import Model, References
from taxiway.sandbox.zod import (
    UNDEFINED,
    Issue,
    Path,
    custom,
    no_union_member,
    not_listed,
    too_big,
    too_small,
    unrecognized,
    wrong_format,
    wrong_type,
)

#: The three forms of a URI: how it begins, and its longest length in characters.
_FORMS = (("https://", 2048), ("runway://", 5000), ("data:image/", 5_242_880))
_URI_MIN = 13
_TAG_MIN, _TAG_MAX = 3, 16
_TAG = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_STRICT_TAG = re.compile(r"[a-z][a-z0-9_]+")
_TAG_PATTERN = "/^[a-z][a-z0-9_]+$/"
_SUBJECTS = ("object", "human")


def reference_issues(value: object, *, model: Model, strict_tags: bool) -> list[Issue]:
    """Return what is wrong with `referenceImages`: their number, their keys, their tags."""
    rules, path = model.references, ("referenceImages",)
    if rules is None:
        return []
    if not isinstance(value, list):
        return [wrong_type("array", value, path=path)]
    issues = []
    if len(value) < rules.least:
        issues.append(too_small("array", rules.least, path=path))
    if rules.most is not None and len(value) > rules.most:
        issues.append(too_big("array", rules.most, path=path))
    for index, item in enumerate(value):
        issues += _item_issues(item, rules=rules, path=(*path, index), strict_tags=strict_tags)
    return issues or _together(value, rules=rules, path=path)


def uri_issues(value: object, *, path: Path) -> list[Issue]:
    """Return what is wrong with a reference's URI; each of the three forms says why it does not fit."""
    if not isinstance(value, str):
        return [wrong_type("string", value, path=path)]
    attempts = [_form_issues(value, prefix=prefix, longest=longest) for prefix, longest in _FORMS]
    return [] if [] in attempts else [no_union_member(attempts, path=path)]


def _form_issues(value: str, *, prefix: str, longest: int) -> list[Issue]:
    issues = []
    if len(value) < _URI_MIN:
        issues.append(too_small("string", _URI_MIN, path=()))
    if len(value) > longest:
        issues.append(too_big("string", longest, path=()))
    if not value.startswith(prefix):
        issues.append(wrong_format(f"/^{prefix.replace('/', chr(92) + '/')}/", path=()))
    return issues


def _item_issues(item: object, *, rules: References, path: Path, strict_tags: bool) -> list[Issue]:
    if not isinstance(item, dict):
        return [wrong_type("object", item, path=path)]
    issues = uri_issues(item.get("uri", UNDEFINED), path=(*path, "uri"))
    if "tag" in item and "tag" in rules.keys:
        issues += _tag_issues(item["tag"], path=(*path, "tag"), strict=strict_tags)
    subject = item.get("subject", "object")
    if "subject" in rules.keys and subject not in _SUBJECTS:
        issues.append(not_listed(_SUBJECTS, path=(*path, "subject")))
    unknown = [key for key in item if key not in rules.keys]
    if unknown:
        issues.append(unrecognized(unknown, path=path))
    return issues


def _tag_issues(tag: object, *, path: Path, strict: bool) -> list[Issue]:
    if not isinstance(tag, str):
        return [wrong_type("string", tag, path=path)]
    issues = []
    if len(tag) < _TAG_MIN:
        issues.append(too_small("string", _TAG_MIN, path=path))
    if len(tag) > _TAG_MAX:
        issues.append(too_big("string", _TAG_MAX, path=path))
    if not (_STRICT_TAG if strict else _TAG).fullmatch(tag):
        issues.append(wrong_format(_TAG_PATTERN, path=path))
    return issues


def _together(items: list[dict[str, Any]], *, rules: References, path: Path) -> list[Issue]:
    issues = []
    tags = Counter(item["tag"] for item in items if "tag" in item)
    if rules.unique_tags and any(count > 1 for count in tags.values()):
        issues.append(custom("Reference image tags must be unique", path=path))
    subjects = Counter(item.get("subject", "object") for item in items)
    for subject, most in (("human", rules.human_max), ("object", rules.object_max)):
        if most is not None and subjects[subject] > most:
            issues.append(custom(f"At most {most} {subject} reference images", path=path))
    return issues
