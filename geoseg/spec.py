"""Frozen, serialisable descriptions: the base of every noun in geoseg."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import (
    InitErrorDetails,
    PydanticCustomError,
    PydanticSerializationError,
    core_schema,
)

from geoseg import yamltext
from geoseg.errors import ConfigError
from geoseg.placed import PlacedText, placed

K = TypeVar("K")
V = TypeVar("V")

NULL_IS_DEFAULT = "null_is_default"
"""In the context of a validation: null stands for the default of a field that cannot be null itself, and
for nothing in a mapping whose values cannot be, so that one file takes back what another one says."""


def _refuse_shadowing(cls: type[BaseModel]) -> None:
    """A field named like a base's property or method would silently lose to it, or hide it."""
    for name in cls.__annotations__:
        for base in cls.__mro__[1:]:
            hidden = base.__dict__.get(name)
            if name in cls.model_fields and (
                isinstance(hidden, property | classmethod | staticmethod)
                or inspect.isfunction(hidden)
            ):
                raise TypeError(
                    f"{cls.__name__}: the field {name!r} hides {base.__name__}.{name}; give the field "
                    "another name (an alias may keep the old one for callers)"
                )


def _refuse_unknown_keys(cls: type[BaseModel], data: dict[Any, Any]) -> None:
    known = {field.alias or name for name, field in cls.model_fields.items()}
    errors: list[InitErrorDetails] = []
    for key, value in data.items():
        if key in known:
            continue
        near = get_close_matches(str(key), sorted(known), n=1, cutoff=0.0)
        hint = f"; nearest known key: {near[0]}" if near else "; there are no keys here"
        error = PydanticCustomError("unknown_key", "unknown key{hint}", {"hint": hint})
        errors.append(InitErrorDetails(type=error, loc=(str(key),), input=value))
    if errors:
        raise ValidationError.from_exception_data(cls.__name__, errors)


def _takes_null(annotation: Any) -> bool:
    return annotation is Any or annotation is None or type(None) in get_args(annotation)


def _without_nulls(cls: type[BaseModel], data: dict[Any, Any]) -> dict[Any, Any]:
    """Without keys that are null and whose field cannot be: it then has its default."""
    types = {field.alias or name: field.annotation for name, field in cls.model_fields.items()}
    return {
        key: value
        for key, value in data.items()
        if value is not None or _takes_null(types.get(key))
    }


def _null_is_default(info: ValidationInfo) -> bool:
    return bool((info.context or {}).get(NULL_IS_DEFAULT))


def _is_head(cls: type[BaseModel]) -> bool:
    """Whether this is the head of a family (or between it and its kinds): the kind itself looks."""
    return "type" not in cls.model_fields and any("kinds" in base.__dict__ for base in cls.__mro__)


class Spec(BaseModel):
    """A value that is compared, hashed, pickled and written to YAML.

    Subclasses are frozen; they hold neither open files nor arrays. Every field is given by name; an
    unknown name is an error that tells the nearest known one.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        polymorphic_serialization=True,
        protected_namespaces=(),
        ser_json_inf_nan="constants",  # the default writes null for NaN
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        _refuse_shadowing(cls)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with some fields changed and all of them checked again.

        Args:
            update: {field: its new value}; unknown fields are an error, as anywhere.
            deep: Whether to copy what the fields hold, too.

        Raises:
            pydantic.ValidationError: Fields or values are wrong.
        """
        if not update:
            return super().model_copy(deep=deep)
        names = {name: field.alias or name for name, field in type(self).model_fields.items()}
        values = {alias: getattr(self, name) for name, alias in names.items()}
        changed = {names.get(name, name): value for name, value in update.items()}
        return type(self).model_validate(values | changed)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Fields by the names that the constructor takes."""
        fields = type(self).model_fields
        for name, value in super().__repr_args__():
            field = fields.get(name or "")
            yield (field.alias if field is not None and field.alias else name), value

    @model_validator(mode="wrap")
    @classmethod
    def _name_unknown_keys(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if isinstance(data, dict) and not _is_head(cls):
            _refuse_unknown_keys(cls, data)
            data = _without_nulls(cls, data) if _null_is_default(info) else data
        return handler(data)

    def to_yaml(self) -> str:
        """The whole value as YAML text; `from_yaml` brings it back.

        Raises:
            ConfigError: Something in it holds an array, and so has no text.
        """
        try:
            return yamltext.dump(self.model_dump(mode="json", by_alias=True))
        except PydanticSerializationError as error:
            if isinstance(error.__cause__, ConfigError):
                raise error.__cause__ from None
            raise

    def uris_within(self) -> tuple[str, ...]:
        """The files that the file of its `uri` names, or that are read with it; see `files_of`."""
        return ()

    @classmethod
    def from_yaml(cls, text_or_path: str | Path) -> Self:
        """The value written in a YAML text or file.

        Relative uris in a file are taken against the file's folder, in a text against the working
        directory.

        Raises:
            ConfigError: The file cannot be read, is not YAML, or has a key twice.
            pydantic.ValidationError: Keys or values are wrong; one line each with its path.
        """
        path = as_path(text_or_path)
        if path is None:
            return cls.model_validate(yamltext.load(str(text_or_path)))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"{path}: cannot read this YAML file: {reason}") from error
        base = str(path.resolve().parent)
        return cls.model_validate(yamltext.load(text, name=str(path)), context={"base": base})


def uris_of(spec: Spec) -> tuple[str, ...]:
    """The files that a Spec and all Specs within name, as its fields called `uri` hold them."""
    found: list[str] = []
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Spec):
                found.extend(uris_of(part))
            elif name == "uri" and isinstance(part, str):
                found.append(part)
    return tuple(found)


def files_of(spec: Spec) -> tuple[str, ...]:
    """Those of `uris_of`, and the files that these name or that are read with them, where a Spec can tell.

    To tell, a Spec may read a file or ask a server; what cannot be read names nothing.
    """
    return tuple(dict.fromkeys((*uris_of(spec), *_named_within(spec))))


def _named_within(spec: Spec) -> Iterator[str]:
    yield from spec.uris_within()
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Spec):
                yield from _named_within(part)


class Tagged(Spec):
    """A Spec of several kinds, told apart by `type` in YAML.

    A class directly below is the head of a family. A kind carries
    `type: Literal["name"] = "name"` and belongs to its family by being defined.
    """

    kinds: ClassVar[dict[str, type[Tagged]]] = {}
    """Tag to class, one table for each family."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if Tagged in cls.__bases__:
            cls.kinds = {}
            return
        if "type" not in cls.__annotations__:
            if inspect.isabstract(cls):
                return
            raise TypeError(
                f"{cls.__name__} is a kind of {_head(cls).__name__} without a tag of its own; add "
                f'`type: Literal["my-name"] = "my-name"` to it'
            )
        tag = cls.model_fields["type"].default
        if not isinstance(tag, str):
            raise TypeError(
                f"{cls.__name__}: `type` has no text as its default; write "
                f'`type: Literal["my-name"] = "my-name"`'
            )
        old = cls.kinds.get(tag)
        if old is not None and not _is_rerun(old, cls):
            raise TypeError(
                f"{cls.__name__}: the tag {tag!r} is taken by {old.__module__}.{old.__qualname__}; "
                "choose another"
            )
        cls.kinds[tag] = cls

    @model_validator(mode="wrap")
    @classmethod
    def _choose_kind(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if not isinstance(data, dict) or "type" in cls.model_fields:
            return handler(data)
        known = {tag: kind for tag, kind in cls.kinds.items() if issubclass(kind, cls)}
        tag = data.get("type")
        if not isinstance(tag, str) or tag not in known:
            near = get_close_matches(tag, known, n=1) if isinstance(tag, str) else []
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PydanticCustomError(
                "unknown_type",
                "type is {got}, expected one of: {known}{hint}",
                {"got": repr(tag), "known": ", ".join(sorted(known)), "hint": hint},
            )
        kind: Any = known[tag]
        chosen: Self = kind.model_validate(data, context=info.context)
        return chosen

    @model_serializer(mode="wrap")
    def _keep_tag(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": type(self).model_fields["type"].default, **handler(self)}


class FrozenMap(Mapping[K, V]):
    """A mapping that does not change, so that a Spec with it can be hashed; a plain mapping in YAML."""

    __slots__ = ("_items",)
    _items: dict[K, V]

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        object.__setattr__(self, "_items", dict(items or {}))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a FrozenMap does not change")

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMap, (self._items,)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        key, value = get_args(source) or (Any, Any)
        plain = handler.generate_schema(dict[key, value])  # type: ignore[valid-type]

        def as_dict(given: Any, info: ValidationInfo) -> Any:
            if isinstance(given, FrozenMap):
                return dict(given)
            if isinstance(given, dict) and _null_is_default(info) and not _takes_null(value):
                return {key: item for key, item in given.items() if item is not None}
            return given

        return core_schema.with_info_before_validator_function(
            as_dict,
            core_schema.no_info_after_validator_function(FrozenMap, plain),
            serialization=core_schema.plain_serializer_function_ser_schema(dict),
        )


class AlsoWritten:
    """For a field whose validator takes another form too: tells the JSON Schema of it, no more.

    Stands in the field's `Annotated[...]`.
    """

    __slots__ = ("_forms",)

    def __init__(self, *forms: dict[str, Any]) -> None:
        self._forms = forms

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [*self._forms, handler(schema)]}


class _TextStandsFor(AlsoWritten):
    __slots__ = ("_by_suffix", "_tag")

    def __init__(self, tag: str, by_suffix: Mapping[str, str]) -> None:
        super().__init__({"type": "string", "description": f"The uri of a `{tag}`."})
        self._tag, self._by_suffix = tag, by_suffix

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._stand_for, handler(source))

    def _stand_for(self, value: Any) -> Any:
        if not isinstance(value, str | os.PathLike):
            return value
        text = os.fspath(value).lower()
        tags = [other for suffix, other in self._by_suffix.items() if text.endswith(suffix)]
        return {"type": tags[0] if tags else self._tag, "uri": value}


def text_stands_for(tag: str, *, by_suffix: Mapping[str, str] | None = None) -> AlsoWritten:
    """For a field of a family: plain text is the `uri` of the kind with this tag.

    Args:
        tag: The kind.
        by_suffix: {lower-case end of the text: another kind}.
    """
    return _TextStandsFor(tag, dict(by_suffix or {}))


def _as_text(uri: Any) -> Any:
    """A Path given in Python names a local file: there its text loses nothing."""
    if isinstance(uri, PlacedText):
        return placed(uri, uri.folder)
    return os.fspath(uri) if isinstance(uri, os.PathLike) else uri


def _against_base(uri: str, info: ValidationInfo) -> str:
    """A relative path in a YAML file is meant from that file's folder.

    What is no plain path stays as it is: URLs, `/vsi...`, and a driver's `NAME:...`.
    """
    base = (info.context or {}).get("base")
    return uri if base is None else placed(uri, base)


Uri = Annotated[str, BeforeValidator(_as_text), AfterValidator(_against_base)]
"""A local path, `/vsi...` path or URL as text (a Path would eat a slash of `s3://`)."""


def as_path(text_or_path: str | Path) -> Path | None:
    """The file that is meant, or None where it is YAML text."""
    if isinstance(text_or_path, Path):
        return text_or_path
    one_line = "\n" not in text_or_path.strip()
    named_so = text_or_path.strip().endswith((".yaml", ".yml")) and ": " not in text_or_path
    # Not Path.is_file: to that a long text is an error, here it is no file.
    is_file = os.path.isfile(text_or_path)  # noqa: PTH113
    return Path(text_or_path) if one_line and (named_so or is_file) else None


def _head(cls: type[Any]) -> type[Any]:
    """The head of the family of a kind."""
    return next(base for base in cls.__mro__ if Tagged in base.__bases__)


def _is_rerun(old: type[Any], new: type[Any]) -> bool:
    """Whether a notebook's cell was run again: only there may a class replace itself."""
    return (old.__module__, old.__qualname__) == ("__main__", new.__qualname__) and (
        new.__module__ == "__main__"
    )
