"""A table of the config read key by key: a mistake is kept as a sentence, and reading goes on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta, structs

from actors.errors import ConfigError, LinewardenError
from actors.secret import Secret, SecretFile, dec_hook
from actors.settings import wording
from actors.settings.credentials import KEY, is_credential, read_credential
from actors.settings.places import Place, Places
from actors.settings.secret_files import read_secret_file
from actors.settings.toml_file import user_path

DEPTH = 32  # of tables in tables
FilePath = Annotated[str, Meta(min_length=1, description=SecretFile.expected)]

_VARIABLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}?")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_BARE_VARIABLE = re.compile(r"\$[A-Z_][A-Z0-9_]+\Z")  # as a shell has it: $NAME and nothing else
_SHELL_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):?[-=?+]")  # a shell's ${NAME:-text} and the like

T = TypeVar("T")


class RefusedError(Exception):
    """This value has been complained of; there is nothing to go on with."""


class SettingsReader:
    """Reads tables, and goes on after a mistake to find the next."""

    def __init__(
        self,
        file: str,
        environ: Mapping[str, str],
        homes: Mapping[str, Container[str]],
        directory: Path = Path(),
    ) -> None:
        self.file = file
        self.places = Places(Place(file, directory))
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._environ = environ
        self._homes = homes  # where a key that stands in the wrong place belongs
        self._hidden: set[str] = set()  # values that no sentence may repeat

    # ── tables ──────────────────────────────────────────────────────────────────────────────────

    def table(self, where: str, raw: object) -> dict[str, object]:
        if not isinstance(raw, Mapping):
            self.complain(where, "", f"expected a table, found {wording.found(raw)}")
            return {}
        for key in raw:
            if not isinstance(key, str):
                self.complain(where, "", f"expected text as the name of a key, found {wording.found(key)}")
        return {key: value for key, value in raw.items() if isinstance(key, str)}

    def fields(self, where: str, raw: object, kind: type) -> dict[str, Any]:
        """A table that holds the keys of `kind` and no others, converted."""
        table = self.table(where, raw)
        keys = wording.keys_of(kind)
        self.reject_unknown(where, table, keys)
        return self.some_fields(where, table, kind, keys)

    def some_fields(
        self, where: str, table: Mapping[str, object], kind: type, keys: Collection[str]
    ) -> dict[str, Any]:
        """These of the keys that `kind` declares, converted; what else is in the table is not judged."""
        found = {}
        for field in structs.fields(kind):
            key = field.encode_name
            if key in keys and key in table:
                with suppress(RefusedError):
                    found[field.name] = self.convert(where, key, table[key], field.type)
            elif key in keys and field.required:
                self.complain(where, key, f"missing; expected {wording.expected(field.type)}")
        return found

    def merged(self, where: str, raw: object, base: T) -> T:
        """`base`, with the values of the table in their place."""
        return structs.replace(base, **self.fields(where, raw, type(base)))  # type: ignore[type-var]

    def reject_unknown(
        self, where: str, table: Iterable[str], known: Collection[str], feed: str = "NAME"
    ) -> None:
        what = "key" if where else "table"
        for key in table:
            if key not in known:
                hint = wording.longer(key, known) or self.home(key, feed) or wording.suggested(key, known)
                self.complain(where, key, f"there is no such {what}{hint}")

    def home(self, key: str, feed: str = "NAME") -> str:
        for home, keys in self._homes.items():
            if key in keys:
                return f"; it belongs in {home.replace('NAME', wording.key_name(feed))}"
        return ""

    # ── values ──────────────────────────────────────────────────────────────────────────────────

    def convert(self, where: str, key: str, raw: object, kind: Any) -> Any:
        """The value as `kind`. A mistake is reported in our own words, which repeat no text."""
        if wording.plain(kind) is SecretFile and not isinstance(raw, SecretFile):
            return self._secret_file(where, key, raw)
        value = self.expand(where, key, raw)
        if wording.holds_secret(kind):
            if isinstance(value, str):
                self._hide(value)
            if isinstance(value, str) and not value.strip():
                self.complain(where, key, "expected text that is not empty")
                raise RefusedError
        try:
            converted = msgspec.convert(value, kind, dec_hook=dec_hook)
            if not isinstance(converted, float) or math.isfinite(converted):
                return converted
        except (msgspec.ValidationError, RecursionError, ArithmeticError, NotImplementedError):
            pass
        plain = wording.plain(kind)
        near = wording.nearest(value, map(str, get_args(plain))) if isinstance(value, str) else ""
        hint = f"; did you mean {near!r}?" if near else ""
        same = isinstance(value, str) and plain is str
        found = "" if near or same else f", found {wording.found(raw, kind)}"
        self.complain(where, key, f"expected {wording.expected(kind)}{found}{hint}")
        raise RefusedError

    def each(self, where: str, key: str, texts: Collection[str], read: Callable[[str], T]) -> tuple[T, ...]:
        """Each of these texts, read; a mistake is reported with the number of its entry."""
        values = []
        for number, text in enumerate(texts, 1):
            try:
                values.append(read(text))
            except ValueError as error:
                place = f"entry {number}: " if len(texts) > 1 else ""
                self.complain(where, key, f"{place}{error}")
        return tuple(values)

    def path(self, where: str, key: str, name: str) -> Path:
        """The path that this value names: a relative one starts at the directory of its file."""
        return Path(self.places.of(where, key).directory, user_path(name))

    def _secret_file(self, where: str, key: str, raw: object) -> SecretFile:
        """The file at the path that stands for a secret."""
        if is_credential(raw):
            text = self.convert(where, key, raw, Secret)
            return SecretFile("a credential", text)
        name = self.convert(where, key, raw, FilePath)
        shown = raw if isinstance(raw, str) else name  # as it was written: a variable's value is not shown
        try:
            file = read_secret_file(self.path(where, key, name), shown)
        except ConfigError as error:
            self.complain(where, key, error.problems[0])
            raise RefusedError from None
        self._hide(file.text.reveal())
        return file

    def expand(self, where: str, key: str, value: object, depth: int = 0) -> Any:
        """The value with every `${NAME}` in its texts and every `{ credential = "NAME" }` replaced."""
        if depth > DEPTH:
            self.complain(where, key, "it is nested too deeply")
            raise RefusedError
        if isinstance(value, str):
            text = self._expand_text(where, key, value)
            if any("\ud800" <= char <= "\udfff" for char in text):
                why = "it has halves of surrogate pairs, as a variable has whose bytes are no UTF-8"
                self.complain(where, key, f"expected text that can be sent; {why}")
                raise RefusedError
            return text
        if is_credential(value):
            return self._credential(where, key, value)
        if isinstance(value, Mapping):
            return {name: self.expand(where, key, inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.expand(where, key, inner, depth + 1) for inner in value]
        return value

    def _credential(self, where: str, key: str, value: Mapping[str, object]) -> str:
        try:
            text = read_credential(value[KEY], self._environ)
        except ConfigError as error:
            self.complain(where, key, error.problems[0])
            raise RefusedError from None
        self._hide(text)
        return text

    def _expand_text(self, where: str, key: str, text: str) -> str:
        before = len(self.problems)
        if _BARE_VARIABLE.match(text):
            name = text[1:] if text[1:] in self._environ else "NAME"  # it may be a password after all
            self.complain(where, key, f"expected ${{{name}}}: a variable is written with braces")

        def replace(match: re.Match[str]) -> str:
            if match.group() == "$${":
                return "${"
            name = match.group(1)
            if not match.group().endswith("}") or not _VARIABLE_NAME.match(name):
                self.complain(where, key, _form_mistake(name))
                return ""
            value = self._environ.get(name)
            if value is None:
                near = get_close_matches(name, self._environ, 1, 0.8)
                hint = f"; did you mean ${{{near[0]}}}?" if near else ""
                self.complain(where, key, f"the environment variable {name} is not set{hint}")
                return ""
            self._hide(value)
            return value

        expanded = _VARIABLE.sub(replace, text)
        if len(self.problems) > before:
            raise RefusedError
        return expanded

    def says_variable(self, value: object, depth: int = 0) -> bool:
        """Whether a part of it is not of the config, but of a variable or a credential."""
        if is_credential(value):
            return True
        if isinstance(value, str):
            return "${" in value.replace("$${", "")
        if isinstance(value, Mapping):
            value = list(value.values())
        if not isinstance(value, list | tuple):
            return False
        return depth > DEPTH or any(self.says_variable(inner, depth + 1) for inner in value)

    # ── mistakes ────────────────────────────────────────────────────────────────────────────────

    def complain(self, where: str, key: str, text: str) -> None:
        self.problems.append(self._sentence(where, key, text))

    def warn(self, where: str, key: str, text: str) -> None:
        self.warnings.append(self._sentence(where, key, text))

    def warn_of_useless(self, where: str, key: str, text: str) -> None:
        """A default that means nothing to one feed is meant for the others."""
        if not self.places.is_taken(where, key):
            self.warn(where, key, text)

    def complain_in(self, file: str, where: str, key: str, text: str) -> None:
        """Of another file than the config itself, in which no table has been placed."""
        self.problems.append(wording.sentence(file, where, key, text))

    def _sentence(self, where: str, key: str, text: str) -> str:
        place = self.places.of(where, key)
        return wording.sentence(place.file, place.where, key, text)

    def quoting(
        self, where: str, key: str, call: Callable[[], T], *, withheld: bool = False, prefix: str = ""
    ) -> T | None:
        """What the venue's own check answers, or its objection as a problem of ours, without `prefix`."""
        try:
            return call()
        except ConfigError as error:
            texts = list(error.problems)
        except (LinewardenError, ValueError) as error:
            texts = [str(error)]
        except Exception as error:  # a defect of the venue's, shown where it shows
            texts = [f"the venue could not read it: {type(error).__name__}: {error}"]
        for text in texts:
            told = " ".join(text.split()).removeprefix(prefix).rstrip(".")
            if withheld or self._repeats_hidden(told):
                told = "the venue refuses it (its words are left out: they repeat a hidden value)"
            self.complain(where, key, told or "the venue refuses it")
        return None

    def _hide(self, value: str) -> None:
        self._hidden |= {form.casefold() for form in (value, value.strip(), repr(value)[1:-1]) if form}

    def _repeats_hidden(self, told: str) -> bool:
        """Whether it holds a hidden value: a short one as a word, a long one anywhere."""
        told = told.casefold()
        parts = set(re.split(r"\W+", told))
        return any(hidden in told and (len(hidden) > 5 or hidden in parts) for hidden in self._hidden)


def _form_mistake(inside: str) -> str:
    """What is wrong with these characters between `${` and `}`."""
    if shell := _SHELL_FORM.match(inside):
        name = shell[1]
        advice = f"write ${{{name}}}, and {name}=… into the environment or into env_file"
        return f"expected ${{{name}}} alone: it has no default and no other form of a shell; {advice}"
    return "expected ${NAME}, with a name of letters, digits and _ (or $${ for the two characters)"


def names_of_variables(value: object) -> list[str]:
    """What a value is made of that is not in the config: `${NAME}`, and `credential NAME`."""
    if isinstance(value, str):
        return [match[0] for match in _VARIABLE.finditer(value) if match[0] != "$${"]
    if is_credential(value):
        return [f"credential {value[KEY]}"]
    inner = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(inner, list | tuple):
        return []
    return list(dict.fromkeys(name for each in inner for name in names_of_variables(each)))
