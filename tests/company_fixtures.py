"""A dozen records of a freight company, and all stores filled with them."""

from router.embedding import LocalEmbedder
from router.knowledge.record_writer import WriteSummary, ingest_records
from router.knowledge.records import Link, Record
from router.settings import Settings, StoreSettings
from router.store_clients import open_stores
from tests.conftest import Neo4jSettings

RECORDS = [
    Record("DRV-1", "driver", "Anna Kowalski", "Anna Kowalski drives long-haul routes.", "drivers/DRV-1",
           {"status": "active", "depot": "Gdansk"}, (Link("DRIVES", "TRK-12"), Link("REPORTS_TO", "DRV-3"))),
    Record("DRV-2", "driver", "Marek Nowak", "Marek Nowak drives regional deliveries.", "drivers/DRV-2",
           {"status": "on leave", "depot": "Poznan"}, (Link("DRIVES", "TRK-7"), Link("REPORTS_TO", "DRV-3"))),
    Record("DRV-3", "driver", "Julia Wrona", "Julia Wrona leads the team.", "drivers/DRV-3",
           {"status": "active", "depot": "Gdansk"}),
    Record("TRK-12", "truck", "Truck T-12", "A Volvo FH 500 with a refrigerated trailer.", "trucks/TRK-12",
           {"capacity_kg": 24000}),
    Record("TRK-7", "truck", "Truck T-7", "A Scania R450 flatbed.", "trucks/TRK-7", {"capacity_kg": 18000}),
    Record("CUS-1", "customer", "Baltic Foods", "Baltic Foods ships frozen fish.", "customers/CUS-1"),
    Record("CON-1", "contract", "Contract C-101", "Cold chain contract.", "contracts/CON-1",
           {"status": "active"}, (Link("WITH", "CUS-1"),)),
    Record("INV-1042", "invoice", "Invoice INV-1042", "Invoice INV-1042 to Baltic Foods.", "invoices/INV-1042",
           {"status": "overdue", "amount_eur": 12500, "occurred_on": "2025-03-05"}, (Link("UNDER", "CON-1"),)),
    Record("INV-1043", "invoice", "Invoice INV-1043", "Invoice INV-1043 to Nordwind.", "invoices/INV-1043",
           {"status": "paid", "amount_eur": 3200, "occurred_on": "2025-02-11"}),
    Record("INC-1", "incident", "Incident INC-1", "The cooling unit of truck T-12 failed near Lodz.",
           "incidents/INC-1", {"severity": "high", "occurred_on": "2025-03-17"}, (Link("INVOLVES", "TRK-12"),)),
    Record("INC-2", "incident", "Incident INC-2", "Truck T-7 had a flat tyre on the A2.", "incidents/INC-2",
           {"severity": "low", "occurred_on": "2025-05-20"}, (Link("INVOLVES", "TRK-7"),)),
    Record("HB-2", "handbook", "Driving and rest times",
           "Drivers rest 45 minutes after four and a half hours at the wheel.", "handbook/HB-2"),
]  # fmt: skip


def store_addresses(
    redis_url: str, postgres_dsn: str, neo4j: Neo4jSettings, qdrant_url: str
) -> StoreSettings:
    """Give the session's servers as the router's stores."""
    return StoreSettings(
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=neo4j.password,
        neo4j_database=neo4j.database,
        qdrant_url=qdrant_url,
    )


async def fill_stores(settings: Settings) -> tuple[WriteSummary, WriteSummary]:
    """Ingest only these records into every store, twice: ingestion is idempotent."""
    stores = await open_stores(settings.stores)
    try:
        async with stores.neo4j.session(database=stores.neo4j_database) as session:
            await (await session.run("MATCH (n) DETACH DELETE n")).consume()
        await stores.postgres.execute("DROP TABLE IF EXISTS records, ingested")
        embedder = LocalEmbedder()
        return await ingest_records(RECORDS, stores, embedder), await ingest_records(
            RECORDS, stores, embedder
        )
    finally:
        await stores.close()
