"""A clinic as a team would keep it, the same rows in Postgres and in a graph.

Doctors see patients in visits; a doctor may report to another. Rows are few and awkward: nulls, equal
values, a name that two people share, a doctor without visits.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from router.catalog.model import Catalog, CatalogColumn, CatalogKind, CatalogLink, StoreName

SCHEMA = "clinic_test"
DOCTORS = [
    {"id": 1, "name": "Ada Brandt", "city": "Oslo", "fee": 120, "hired": date(2001, 4, 1), "chief_id": None},
    {"id": 2, "name": "Émile Roux", "city": "Paris", "fee": 90, "hired": date(2012, 9, 15), "chief_id": 1},
    {"id": 3, "name": "Noor Haddad", "city": "Oslo", "fee": 90, "hired": date(2019, 1, 7), "chief_id": 1},
    {"id": 4, "name": "Lee Park", "city": None, "fee": None, "hired": None, "chief_id": 2},
]  # fmt: skip
PATIENTS = [
    {"id": 10, "name": "Ola Nordmann", "city": "Oslo", "insured": True},
    {"id": 11, "name": "Marie Curie", "city": "Paris", "insured": False},
    {"id": 12, "name": "Marie Curie", "city": "Lyon", "insured": None},
]
VISITS = [
    {"id": 100, "doctor_id": 1, "patient_id": 10, "day": date(2024, 3, 1), "cost": 80, "status": "paid"},
    {"id": 101, "doctor_id": 1, "patient_id": 11, "day": date(2024, 3, 9), "cost": 250, "status": "new"},
    {"id": 102, "doctor_id": 2, "patient_id": 11, "day": date(2024, 5, 2), "cost": 80, "status": "paid"},
    {"id": 103, "doctor_id": 3, "patient_id": 12, "day": date(2025, 1, 20), "cost": 1200, "status": None},
    {"id": 104, "doctor_id": 2, "patient_id": 10, "day": date(2025, 2, 2), "cost": None, "status": "new"},
]  # fmt: skip
TABLES = {"doctor": DOCTORS, "patient": PATIENTS, "visit": VISITS}
_TYPES = {
    "id": "integer",
    "doctor_id": "integer",
    "patient_id": "integer",
    "chief_id": "integer",
    "fee": "integer",
    "cost": "integer",
    "insured": "boolean",
    "hired": "date",
    "day": "date",
}
_TITLES = {"doctor": ("name",), "patient": ("name",), "visit": ()}
_DATES = {"doctor": "hired", "patient": None, "visit": "day"}


@dataclass(frozen=True, slots=True)
class _ClinicLink:
    name: str
    start: str
    end: str
    column: str


LINKS = (
    _ClinicLink("chief", "doctor", "doctor", "chief_id"),
    _ClinicLink("doctor", "visit", "doctor", "doctor_id"),
    _ClinicLink("patient", "visit", "patient", "patient_id"),
)


def clinic_catalog(store: StoreName, **fields: Any) -> Catalog:  # noqa: ANN401 - of every kind
    """Return the clinic's catalogue over one store; names are the same in both."""
    kinds = {
        name: CatalogKind(
            store=store,
            source=f"{SCHEMA}.{name}" if store == "postgres" else f"Clinic{name.title()}",
            key=("id",),
            title=_TITLES[name],
            date=_DATES[name],
            words=(name,),
            columns={
                column: CatalogColumn.model_validate({"type": _TYPES.get(column, "text")})
                for column in rows[0]
            },
            **fields,
        )
        for name, rows in TABLES.items()
    }
    links = tuple(
        CatalogLink(
            name=link.name,
            start=link.start,
            end=link.end,
            columns=((link.column, "id"),) if store == "postgres" else (),
            relationship=f"CLINIC_{link.name.upper()}" if store == "graph" else None,
        )
        for link in LINKS
    )
    return Catalog(kinds=kinds, links=links)


async def fill_postgres(connection: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
    """Create the clinic's schema, dropping an older one."""
    await connection.execute(
        f"""
        DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA};
        CREATE TABLE {SCHEMA}.doctor (id integer PRIMARY KEY, name text NOT NULL, city text,
          fee integer, hired date, chief_id integer REFERENCES {SCHEMA}.doctor);
        CREATE TABLE {SCHEMA}.patient (id integer PRIMARY KEY, name text NOT NULL, city text,
          insured boolean);
        CREATE TABLE {SCHEMA}.visit (id integer PRIMARY KEY,
          doctor_id integer NOT NULL REFERENCES {SCHEMA}.doctor,
          patient_id integer NOT NULL REFERENCES {SCHEMA}.patient,
          day date NOT NULL, cost integer, status text);
        COMMENT ON TABLE {SCHEMA}.visit IS 'An appointment of a patient';
        """
    )
    for name, rows in TABLES.items():
        columns = list(rows[0])
        places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        await connection.executemany(
            f"INSERT INTO {SCHEMA}.{name} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608 - our own names
            [[row[column] for column in columns] for row in rows],
        )
    await connection.execute(f"ANALYZE {SCHEMA}.doctor, {SCHEMA}.patient, {SCHEMA}.visit")


async def fill_graph(session: Any) -> None:  # noqa: ANN401 - its run wants literal text
    """Create the clinic's nodes and relationships, deleting older ones."""
    for name, rows in TABLES.items():
        label = f"Clinic{name.title()}"
        await (await session.run(f"MATCH (n:{label}) DETACH DELETE n")).consume()
        plain = [{key: value for key, value in row.items() if value is not None} for row in rows]
        cypher = f"UNWIND $rows AS row CREATE (n:{label}) SET n = row"
        await (await session.run(cypher, rows=plain)).consume()
    for link in LINKS:
        start, end = f"Clinic{link.start.title()}", f"Clinic{link.end.title()}"
        cypher = (
            f"MATCH (a:{start}), (b:{end}) WHERE a.{link.column} = b.id "
            f"CREATE (a)-[:CLINIC_{link.name.upper()}]->(b)"
        )
        await (await session.run(cypher)).consume()
