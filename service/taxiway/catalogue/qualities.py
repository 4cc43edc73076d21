"""Which qualities a request may name, and which one stands when it names none.

`references` is the number of reference images of the request, `options` its body fields by the vendor's names.
"""

from collections.abc import Mapping

from taxiway.catalogue.entries import Model, QualityWithReferences, is_set


def allowed(model: Model, *, references: int, options: Mapping[str, object]) -> tuple[str, ...]:
    """Return the qualities this request may name; none for a model without the field."""
    if model.quality is None:
        return ()
    special = model.quality_with_references
    if special is None or _applies(special, references=references, options=options):
        return model.quality.values
    return tuple(value for value in model.quality.values if value not in special.values)


def default(model: Model, *, references: int, options: Mapping[str, object]) -> str | None:
    """Return the quality the vendor takes for a request without one; None where that is unknown."""
    special = model.quality_with_references
    if special is not None and _applies(special, references=references, options=options):
        return special.default
    return model.quality.default if model.quality is not None else None


def _applies(
    special: QualityWithReferences, *, references: int, options: Mapping[str, object]
) -> bool:
    return references > 0 and not is_set(options, special.unless)
