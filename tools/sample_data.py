#!/usr/bin/env python3
"""Write the sample data: gatling/data/users.csv and gatling/data/music.csv.

Every name is put together from the word lists below, so nobody and no song is meant. The output depends on
nothing but this file: the same rows with the same ids at every run, on every machine.
"""

import argparse
import csv
import io
import random
import sys
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "c756.example.com")
"""Ids are uuid5(NAMESPACE, "user/N") and uuid5(NAMESPACE, "music/N") with N the row's number from 1."""

USERS = 150
SONGS = 1200
SEED = 756
DATA = Path(__file__).resolve().parent.parent / "gatling" / "data"
DOMAINS = ("example.com", "example.net", "example.org")  # reserved by RFC 2606: mail to them reaches nobody


def words(text: str) -> list[str]:
    """Return the words of `text`; a hyphen inside of one stands for a space."""
    return [word.replace("-", " ") for word in text.split()]


FIRST_NAMES = words("""
    Abena Adrián Aiko Alma Amir Anouk Anton Aroha Arun Astrid Ayşe Baraka Beatriz Bogdan Camille
    Chidi Ciara Dalia Daniel Devi Dilnoza Ebba Elif Emeka Enzo Esther Farah Félix Freya Gael Greta
    Hana Hassan Hugo Ilse Imani Indra Ines Ivo Jamila Jonas Jun Kamala Kenji Kofi Lars Leila Lin
    Lucía Maja Malik Marek Mei Mira Nadia Naveen Nia Nils Noor Olga Omar Oriol Paola Petra Quang
    Rafael Rania Rosa Ruth Samir Sanne Selam Sergio Siobhan Soren Tala Tariq Thandi Tomás Ulla
    Valentina Vikram Wanjiru Wei Xenia Yara Yusuf Zofia Zuri
""")
LAST_NAMES = words("""
    Abara Achterberg Aldana Amsel Arvidsen Bekova Bellweather Birkhall Boateng Brannock Calloway
    Caspersen Chaudary Corrado Dahlgren Delacour Demirel Dunmore Eastlake Ekwueme Elmstad Eriksmoen
    Farrant Fenwright Ferrante Galvão Gerlach Gillespey Haddadi Hallbrook Hartono Hirose Ibarrola
    Ingleby Iversholt Jansema Jirasek Kaddour Kallio Karimova Kestrel Kobayama Lachance Larkmead
    Lindqvar Lombardo Mabaso Madrigal Marchetti Merriden Mukherji Nakadai Nasrallah Norwick
    Nygaardsen O'Farrow Okonjo Ostermann Pallister Pemberly Quintanar Rademaker Rasmuson Ravenhill
    Rosendal Sabatini Sandoval Schillings Sithebe Stavros Tamura Tanoue Thackeray Tindall Umarov
    Valbuena Vandermeer Varghese Wetherell Whitlow Wójtowicz Xanthos Yamato Yilmazer Zamorano Zeller
""")
COLOURS = words("""
    amber ashen brass cobalt copper coral crimson hazel indigo ivory ochre pewter russet saffron
    teal umber
""")
MOODS = words("""
    borrowed careful crooked drowsy gentle hollow idle humming lopsided patient quiet restless
    sleepless stubborn
""")
THINGS = words("""
    almanac anchor antenna arcade atlas balcony barometer beacon bicycle bonfire bookshelf
    breakwater canary carousel cartographer chimney comet compass cupboard escalator ferry foghorn
    furnace gazebo glacier greenhouse gramophone harbour hedgerow heron inkwell jetty kettle kiosk
    lantern ledger lighthouse magpie marmot meadow metronome monsoon orchard otter paddle parasol
    pendulum periscope pigeon postcard quarry radiator raincoat reservoir rooftop sandbar scaffold
    semaphore skylight snowdrift sparrow staircase suitcase sundial telegram thimble tramline
    turbine turnstile typewriter umbrella viaduct walnut weathervane windowsill
""")
PLACES = words("""
    Ambleford Brinemouth Calderwick Dunmarrow Eskhaven Fallowmere Garrowby Hindlewick Islemarch
    Juniperbay Kestonbury Lowmarket Mirefield Northgate Oakhollow Pellworth Quayside Ravensea
    Saltmarsh Thornby Upperwell Vantry Wexmoor
""")
TIMES = words("""
    midnight noon the-ninth-hour early-spring the-last-tram low-tide half-past-four
    the-longest-night
""")
VERBS = words("""
    call carry fold follow forget lend mend outrun paint remember repeat shelter unwind whistle
""")

Row = dict[str, str]


class Chooser:
    """Choices that every Python makes alike: of `random`, only `random()` promises to keep its sequence."""

    def __init__(self, seed: int) -> None:
        """Start the sequence that belongs to `seed`."""
        self._random = random.Random(seed)  # noqa: S311 - sample data, not secrets

    def one(self, items: Sequence[T]) -> T:
        """Return one of `items`."""
        return items[int(self._random.random() * len(items))]

    def new(self, make: Callable[[], str], seen: set[str]) -> str:
        """Return the first text of `make` that is not in `seen`, and add it there."""
        while (text := make()) in seen:
            pass
        seen.add(text)
        return text


def row_id(kind: str, number: int) -> str:
    """Return the id of row `number` (from 1) of `kind` (user, music)."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{number}"))


def mailbox(name: str) -> str:
    """Return `name` in lower-case ASCII letters, as in a mail address."""
    plain = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("ł", "l").replace("ş", "s"))
    return "".join(letter for letter in plain.lower() if letter.isascii() and letter.isalpha())


def users() -> Iterator[Row]:
    """Yield the rows of users.csv."""
    choose = Chooser(SEED)
    seen: set[str] = set()
    for number in range(1, USERS + 1):
        name = choose.new(lambda: f"{choose.one(FIRST_NAMES)} {choose.one(LAST_NAMES)}", seen)
        first, last = name.split(" ")
        email = f"{mailbox(first)}.{mailbox(last)}@{choose.one(DOMAINS)}"
        yield {"user_id": row_id("user", number), "fname": first, "lname": last, "email": email}


def artist(choose: Chooser) -> str:
    """Return the name of a band or a musician."""
    thing, colour = choose.one(THINGS).capitalize(), choose.one(COLOURS).capitalize()
    person = f"{choose.one(FIRST_NAMES)} {choose.one(LAST_NAMES)}"
    return choose.one(
        (
            f"The {colour} {thing} Committee",
            f"{person} & the {choose.one(MOODS).capitalize()} {thing}",
            f"{choose.one(PLACES)} {thing} Society",
            f"{person} {choose.one(('Trio', 'Quartet', 'Octet', 'Ensemble'))}",
            person,
        )
    )


def title(choose: Chooser) -> str:
    """Return the title of a song."""
    thing, other = choose.one(THINGS), choose.one(THINGS).capitalize()
    mood, place = choose.one(MOODS).capitalize(), choose.one(PLACES)
    time, verb = choose.one(TIMES), choose.one(VERBS).capitalize()
    return choose.one(
        (
            f"{mood} {other}",
            f"{verb} the {thing.capitalize()}",
            f"{other} at {time}",
            f"{place}, {verb} Me",
            f"What the {thing.capitalize()} Said",
            f"Letter to the {choose.one(COLOURS).capitalize()} {other}",
            f"{place} (The {mood} One)",
            f"No. {10 + THINGS.index(thing)}: {other}",
        )
    )


def songs() -> Iterator[Row]:
    """Yield the rows of music.csv: no two have the same artist and title."""
    choose = Chooser(SEED + 1)
    names: set[str] = set()
    artists = [choose.new(lambda: artist(choose), names) for _ in range(SONGS // 6)]
    seen: set[tuple[str, str]] = set()
    for number in range(1, SONGS + 1):
        by = choose.one(artists)
        while (by, name := title(choose)) in seen:
            pass
        seen.add((by, name))
        yield {"music_id": row_id("music", number), "Artist": by, "SongTitle": name}


def as_csv(rows: Iterator[Row]) -> str:
    """Return `rows` as CSV text with a header and a newline after every row."""
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(listed[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


FILES = {"users.csv": users, "music.csv": songs}


def main() -> int:
    """Write the files; with --check compare them only. Return 0, or 1 where one differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    parser.add_argument("--out", type=Path, default=DATA, help="folder of the files (default: gatling/data)")
    arguments = parser.parse_args()
    differs = False
    for name, rows in FILES.items():
        path: Path = arguments.out / name
        wanted = as_csv(rows()).encode()
        if not arguments.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted)
        elif not path.is_file() or path.read_bytes() != wanted:
            print(f"{path}: not what tools/sample_data.py writes; run it without --check", file=sys.stderr)
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
