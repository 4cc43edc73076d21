"""From the text of a catalogue to its models, or one clear refusal."""

import tomllib

from taxiway.catalogue.checks import faults
from taxiway.catalogue.entries import (
    Choices,
    Model,
    Outputs,
    Per,
    Price,
    QualityWithReferences,
    Rate,
    References,
    Surcharge,
    Tier,
    UnknownKeys,
)
from taxiway.catalogue.tables import Table
from taxiway.errors import ConfigError


def read(text: str) -> dict[str, Model]:
    """Return the models by name, in the file's order. Raises `ConfigError` for data that cannot be right."""
    try:
        root = Table(tomllib.loads(text), place="catalogue")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The catalogue is not TOML: {error}.") from error
    models: dict[str, Model] = {}
    for table in root.tables("model"):
        model = _model(table)
        if model.id in models:
            raise ConfigError(f"The catalogue lists {model.id} twice.")
        if found := list(faults(model)):
            raise ConfigError(f"The catalogue's {model.id} cannot be right: {'; '.join(found)}.")
        models[model.id] = model
    root.close()
    return models


def _model(table: Table) -> Model:
    model = Model(
        id=table.text("id"),
        provider=table.text("provider"),
        endpoint=table.text("endpoint"),
        fields=table.texts("fields"),
        required=table.texts("required"),
        unknown_keys=table.word_or_none("unknown_keys", UnknownKeys),
        prompt_max=table.number_or_none("prompt_max"),
        ratios=table.texts("ratios"),
        ratio_default=table.text_or_none("ratio_default"),
        free_area=table.pair_or_none("free_area"),
        ratios_only_with_references=table.texts("ratios_only_with_references"),
        ratios_only_without_references=table.texts("ratios_only_without_references"),
        ratio_needs_references=table.number_or_none("ratio_needs_references") or 0,
        ratio_excluded_by=table.texts("ratio_excluded_by"),
        fields_need_references=table.texts("fields_need_references"),
        outputs=_outputs(table.table("outputs")),
        quality=_choices(table.table("quality")),
        quality_with_references=_quality_with_references(table.table("quality_with_references")),
        output_format=_choices(table.table("output_format")),
        background=_choices(table.table("background")),
        thinking_level=_choices(table.table("thinking_level")),
        references=_references(table.table("references")),
        price=_price(table.table("price")),
    )
    table.close()
    return model


def _choices(table: Table | None) -> Choices | None:
    if table is None:
        return None
    choices = Choices(values=table.texts("values"), default=table.text_or_none("default"))
    table.close()
    return choices


def _outputs(table: Table | None) -> Outputs | None:
    if table is None:
        return None
    outputs = Outputs(
        min=table.number_or_none("min"),
        max=table.number_or_none("max"),
        values=table.numbers("values"),
    )
    table.close()
    return outputs


def _quality_with_references(table: Table | None) -> QualityWithReferences | None:
    if table is None:
        return None
    quality = QualityWithReferences(
        default=table.text("default"),
        values=table.texts("values"),
        unless=table.texts("unless"),
    )
    table.close()
    return quality


def _references(table: Table | None) -> References | None:
    if table is None:
        return None
    references = References(
        min=table.number("min"),
        max=table.number_or_none("max"),
        keys=table.texts("keys"),
        human_max=table.number_or_none("human_max"),
        object_max=table.number_or_none("object_max"),
        unique_tags=table.flag("unique_tags"),
    )
    table.close()
    return references


def _price(table: Table | None) -> Price | None:
    if table is None:
        return None
    price = Price(
        rates=tuple(map(_rate, table.tables("rates"))),
        reference=_surcharge(table.table("reference")),
        tiers=_tiers(table.table("tiers")),
    )
    table.close()
    return price


def _rate(table: Table) -> Rate:
    rate = Rate(
        tier=table.text_or_none("tier"),
        quality=table.text_or_none("quality"),
        credits=table.number("credits"),
    )
    table.close()
    return rate


def _surcharge(table: Table | None) -> Surcharge | None:
    if table is None:
        return None
    surcharge = Surcharge(credits=table.number("credits"), per=table.word("per", Per))
    table.close()
    return surcharge


def _tiers(table: Table | None) -> tuple[Tier, ...]:
    if table is None:
        return ()
    return tuple(Tier(name=name, ratios=table.texts(name)) for name in table.remaining())
