"""The pages of `trainer help`: of a key, of several, of a group and of a choice in it."""

from collections.abc import Iterable, Sequence

from trainer.cli.composed import Composed, composed
from trainer.cli.pages import Page
from trainer.cli.runs import in_run
from trainer.cli.verbs import text
from trainer.config import index, registry
from trainer.config.choices import about, called, file_of, group_choices, summary
from trainer.config.index import Key
from trainer.config.keys import MISSING
from trainer.config.origins import DECLARED, TYPED
from trainer.system.errors import ConfigError, did_you_mean

_COLUMN = 30  # where the meaning of a key begins


def key(found: Composed, declared: Sequence[Key], run: str | None) -> str:
    """A key, as the several sections have it that it is `declared` in; with its value here, or in a `run`."""
    chosen = [one for one in found.keys() if one.name == declared[0].name]  # noqa: SIM118
    one = (chosen or declared)[0]
    page = Page()
    page.heading(one.typed)
    page.text(one.doc)
    page.space()
    page.rows([*_facts(one, found.given.verb), _here(found, one, bool(chosen), run)])
    return str(page)


def _facts(one: Key, verb: str) -> Iterable[tuple[str, str]]:
    yield "type", one.type
    if one.choices:
        yield "one of", ", ".join(one.choices)
    if one.limits:
        yield "limits", one.limits
    yield "default", _declared(one) + (f", with {one.group}={one.section}" if one.section else "")
    yield from (("", f"{default}, with {one.group}={names}") for default, names in _twins(one))
    if one.has("positional"):
        yield "typed as", f"trainer {verb} {one.word.upper()}, or {one.name}=..."
    if one.has("flag"):
        yield "typed as", f"--{one.name}, or {one.name}=true"
    if verb in registry.TRAINING:
        yield "resume", "may change it" if one.has("runtime") else "keeps it; for another: trainer train from=RUN"
    verbs = [verb for verb in registry.verbs() if any(key.name == one.name for key in index.of_verb(verb))]
    if len(verbs) > 1:
        yield "verbs", ", ".join(verbs)


def _twins(one: Key) -> Iterable[tuple[str, str]]:
    """The defaults that other sections of its group have for such a key, and the names of those."""
    found: dict[str, list[str]] = {}
    for name in registry.names(one.group) if one.group is not None and one.section is not None else []:
        twin = next((twin for twin in index.of_section(str(one.group), name) if twin.name == one.name), None)
        if twin is not None and name != one.section:
            found.setdefault(_declared(twin), []).append(name)
    return ((default, ", ".join(names)) for default, names in found.items())


def _here(found: Composed, one: Key, is_chosen: bool, run: str | None) -> tuple[str, str]:
    """The value in a run, or on this command line."""
    if run is not None:
        return "in the run", in_run(one.name, run)
    if not is_chosen:
        return "here", f"not there: it needs {one.group}={one.section}"
    value = found.value(one.name, MISSING)
    if value == MISSING:
        return "here", "not given"
    return "here", "taken from the data" if _of_data(value) else f"{text(value)}, {_from(found.origin(one.name))}"


def _declared(one: Key) -> str:
    return "none, it has to be given" if one.required else text(one.default)


def _of_data(value: object) -> bool:
    return str(value).startswith("${data.")


def _from(origin: str) -> str:
    return origin if origin in (TYPED, DECLARED) else f"from {origin}"


def own(found: Composed, group: str, name: str) -> str:
    """An argument of a class of the user's own, of which nothing is declared."""
    page = Page()
    page.heading(f"{group}.{name}")
    page.text(f"an argument of {found.value(f'{group}._target_')}, of your own")
    page.space()
    page.rows([("here", f"{text(found.value(f'{group}.{name}'))}, {_from(found.origin(f'{group}.{name}'))}")])
    return str(page)


def flag(name: str, doc: str) -> str:
    """A flag of every verb."""
    page = Page()
    page.heading(name)
    page.text(doc)
    return str(page)


def list_of(topic: str, keys: Sequence[Key]) -> str:
    """Several keys that a topic may mean: those of a section, or those that end with the same word."""
    page = Page()
    page.heading(f"Keys that {topic} may mean")
    page.rows({key.name: (f"{key.typed}={_default(key)}", key.doc) for key in keys}.values(), column=_COLUMN)
    page.space()
    page.text(f"trainer help {keys[0].typed} explains one.", "")
    return str(page)


def group(found: Composed, name: str, run: str | None) -> str:
    """What may be chosen in a group, and the keys that every choice has."""
    doc = {key.name: key.doc for key in index.of_verb(found.given.verb)}
    page = Page()
    page.heading(f"{name}=NAME")
    page.text(doc.get(name, "a recipe, with all the choices and values of a training").partition(": ")[0])
    page.heading("Choices")
    page.rows((choice, summary(name, choice)) for choice in group_choices(name))
    chosen = found.choices.get(name, "None")
    if run is not None:
        page.heading(f"In the run: {in_run(name, run)}")
    elif chosen != "None":
        page.heading(f"Here: {name}={chosen}, {_from(found.origin(name))}")
    if name in registry.GROUPS and (common := index.of_group(name)):
        page.heading("Keys that every choice has")
        page.rows(((f"{key.typed}={_default(key)}", _meaning(key)) for key in common), column=_COLUMN)
    page.heading("More")
    page.rows([(f"trainer help {name}=NAME", "a choice, with its own keys")])
    return str(page)


def choice(found: Composed, group: str, name: str) -> str:
    """A choice in a group: what its file says of it, and its keys.

    Raises:
        ConfigError: There is no such choice.
    """
    file = file_of(group, name)
    if file is None:
        raise ConfigError(f"{group}={name}: no such config", did_you_mean(name, group_choices(group)))
    page = Page()
    page.heading(f"{group}={name}")
    for paragraph in _paragraphs(about(group, name)):
        page.text(paragraph, "    " if paragraph.startswith(" ") else "  ")
    page.space()
    page.rows([("file", called(file))])
    if group == "experiment":
        return str(page)
    again = composed(found.given.verb, [*found.given.overrides, f"{group}={name}"])
    keys = [key for key in again.keys() if key.group == group]  # noqa: SIM118
    own = [key for key in keys if key.section is not None]
    for title, some in (("Its own keys", own), ("Keys that every choice has", [key for key in keys if key not in own])):
        if some:
            page.heading(title)
            page.rows(((f"{key.typed}={_given(again, key)}", _meaning(key)) for key in some), column=_COLUMN)
    return str(page)


def _meaning(key: Key) -> str:
    return f"{key.doc} ({key.limits})" if key.limits else key.doc


def _default(key: Key) -> str:
    return "..." if key.required else text(key.default)


def _given(found: Composed, key: Key) -> str:
    value = found.value(key.name, key.default)
    return "..." if value == MISSING else "(data)" if _of_data(value) else text(value)


def _paragraphs(lines: Iterable[str]) -> list[str]:
    """The lines of a comment, joined where one goes on with the sentence of the line before."""
    found = [""]
    for line in lines:
        if not line or line.startswith(" ") or found[-1].startswith(" "):
            found.append(line)
        else:
            found[-1] = f"{found[-1]} {line}".lstrip()
    return [paragraph for paragraph in found if paragraph.strip()]
