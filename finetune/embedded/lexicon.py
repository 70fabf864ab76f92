"""The words of the language: what each is, and which is a kind of which.

No word has two roles, and none that can follow *a* opens with a vowel.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar


class Class(Enum):
    """What a noun names; verbs choose their objects by it."""

    MALE = auto()
    FEMALE = auto()
    ANIMAL = auto()
    THING = auto()
    BUILDING = auto()


LIVING = frozenset({Class.MALE, Class.FEMALE, Class.ANIMAL})
PRONOUNS = {Class.MALE: "himself", Class.FEMALE: "herself", Class.ANIMAL: "itself"}
"""The reflexive of one; of many it is `THEMSELVES`."""
THEMSELVES = "themselves"


@dataclass(frozen=True)
class Noun:
    """A noun.

    Attributes:
        one: its singular.
        many: its plural.
        names: what it names.
        broader: the noun for its kind; none for a noun that itself names a kind.
    """

    one: str
    many: str
    names: Class
    broader: "Noun | None" = None

    @property
    def kind(self) -> "Noun":
        """The noun for its kind, which may be itself."""
        return self.broader or self


@dataclass(frozen=True)
class Verb:
    """A verb.

    Attributes:
        base: with a plural subject and after *do*.
        s: with a singular subject.
        participle: in the passive; empty for a verb that is done to things alone, or to nothing.
        objects: the classes of noun it takes; empty for an intransitive verb.
        broader: the verb that it is a way of; none for a verb that itself names a kind.
    """

    base: str
    s: str
    participle: str
    objects: frozenset[Class]
    broader: "Verb | None" = None

    @property
    def kind(self) -> "Verb":
        """The verb for its kind, which may be itself."""
        return self.broader or self

    @property
    def takes_the_living(self) -> bool:
        """Whether a king or a dog can be its object."""
        return self.objects >= LIVING


Term = TypeVar("Term", Noun, Verb)


@dataclass(frozen=True)
class Determiner:
    """A determiner: what number it takes, and what it does to what follows from a sentence.

    Attributes:
        word: its form.
        one: whether it stands before a singular noun.
        many: whether it stands before a plural noun.
        restrictor: +1 where its noun may be made broader (*some kings sleep*, so *some men sleep*),
            −1 where it may be made narrower (*no men sleep*, so *no kings sleep*).
        scope: the same for the rest of the sentence.
        definite: whether it points at something, whatever is then said or denied of it.
        partner: what stands in its place before the other number; empty where it takes both.
    """

    word: str
    one: bool
    many: bool
    restrictor: int = 1
    scope: int = 1
    definite: bool = False
    partner: str = ""

    def takes(self, many: bool) -> bool:
        """Return whether it stands before a noun of that number."""
        return self.many if many else self.one


def _nouns(names: Class, kind: str, *narrower: str) -> list[Noun]:
    broader = Noun(*_numbers(kind), names)
    return [broader, *(Noun(*_numbers(word), names, broader) for word in narrower)]


def _numbers(word: str) -> tuple[str, str]:
    one, _, many = word.partition("/")
    return one, many or f"{one}s"


def _verbs(objects: frozenset[Class], kind: str, *narrower: str) -> list[Verb]:
    broader = Verb(*_forms(kind), objects)
    return [broader, *(Verb(*_forms(word), objects, broader) for word in narrower)]


def _forms(word: str) -> tuple[str, str, str]:
    base, _, participle = word.partition("/")
    return base, f"{base}es" if base.endswith("ch") else f"{base}s", participle


NOUNS = (
    *_nouns(Class.MALE, "man/men", "king", "monk", "boy", "father", "duke", "sailor"),
    *_nouns(Class.FEMALE, "woman/women", "queen", "nun", "girl", "mother", "sister", "maid"),
    *_nouns(Class.ANIMAL, "beast", "dog", "horse", "bear", "goat", "lion", "mouse/mice"),
    *_nouns(Class.ANIMAL, "bird", "hawk", "crow", "duck", "hen", "swan", "goose/geese"),
    *_nouns(Class.THING, "fruit", "peach/peaches", "pear", "plum", "grape", "lemon"),
    *_nouns(Class.THING, "tool", "hammer", "spade", "rake", "drill", "knife/knives"),
    *_nouns(Class.BUILDING, "house", "castle", "tower", "mill", "barn", "chapel"),
)  # fmt: skip
_THINGS = frozenset({Class.THING})
VERBS = (
    *_verbs(frozenset(), "move", "walk", "run", "dance", "jump"),
    *_verbs(frozenset(), "rest", "sleep", "sit", "kneel", "doze"),
    *_verbs(frozenset(), "speak", "shout", "whisper", "sing", "mumble"),
    *_verbs(LIVING, "help/helped", "feed/fed", "heal/healed", "guard/guarded", "teach/taught"),
    *_verbs(LIVING, "judge/judged", "praise/praised", "blame/blamed", "trust/trusted",
            "doubt/doubted"),
    *_verbs(LIVING | _THINGS, "notice/noticed", "see/seen", "hear/heard", "smell/smelled",
            "watch/watched"),
    *_verbs(_THINGS, "take", "steal", "grab", "borrow", "collect"),
)  # fmt: skip
"""Each kind, then what is of that kind."""

DETERMINERS = (
    Determiner("the", one=True, many=True, definite=True),
    Determiner("this", one=True, many=False, definite=True, partner="these"),
    Determiner("these", one=False, many=True, definite=True, partner="this"),
    Determiner("a", one=True, many=False, partner="two"),
    Determiner("two", one=False, many=True, partner="a"),
    Determiner("some", one=True, many=True),
    Determiner("every", one=True, many=False, restrictor=-1, partner="all"),
    Determiner("all", one=False, many=True, restrictor=-1, partner="every"),
    Determiner("no", one=True, many=True, restrictor=-1, scope=-1),
)
ADJECTIVES = ("big", "small", "white", "black", "brown", "pretty", "dirty", "strange")
ADVERBS = ("slowly", "quickly", "quietly", "badly", "today", "again")
PREPOSITIONS = ("near", "behind", "beside")
DOES, DO, IS, ARE = "does", "do", "is", "are"
NOT, EVER, THAT, BY, STOP = "not", "ever", "that", "by", "."

VOCABULARY = (
    STOP, NOT, EVER, THAT, BY, DO, DOES, IS, ARE, *PRONOUNS.values(), THEMSELVES,
    *(determiner.word for determiner in DETERMINERS),
    *PREPOSITIONS, *ADJECTIVES, *ADVERBS,
    *(form for noun in NOUNS for form in (noun.one, noun.many)),
    *(form for verb in VERBS for form in (verb.base, verb.s, verb.participle) if form),
)  # fmt: skip
"""Every word once, in a fixed order."""

NARROWER_NOUNS = {
    kind: tuple(noun for noun in NOUNS if noun.broader == kind)
    for kind in NOUNS
    if kind.broader is None
}
NARROWER_VERBS = {
    kind: tuple(verb for verb in VERBS if verb.broader == kind)
    for kind in VERBS
    if kind.broader is None
}
