"""The words the freight company is made of: towns, names, makes, goods.

All of it is invented; the towns are real, so that distances and countries make sense.
"""

COMPANY_NAME = "Flensmark Freight"

# id, town, country, street, docks, cold store, opened
DEPOTS = (
    ("flensburg", "Flensburg", "Germany", "Schäferweg 12", 22, False, "1987-04-01"),
    ("luebeck", "Lübeck", "Germany", "Am Skandinavienkai 4", 31, True, "1994-09-15"),
    ("kiel", "Kiel", "Germany", "Ostuferhafen 9", 18, False, "1999-03-01"),
    ("rostock", "Rostock", "Germany", "Zum Überseehafen 27", 24, True, "2003-06-10"),
    ("bremen", "Bremen", "Germany", "Senator-Bortscheller-Straße 6", 28, False, "2001-11-05"),
    ("hanover", "Hanover", "Germany", "Lohweg 41", 35, True, "2009-02-16"),
    ("kolding", "Kolding", "Denmark", "Birkemosevej 18", 16, True, "2012-08-20"),
    ("szczecin", "Szczecin", "Poland", "ul. Struga 33", 20, False, "2016-05-09"),
)

NAMES = (
    "Anja Petersen", "Jonas Holm", "Marek Wiśniewski", "Birgit Claussen",
    "Mehmet Aksoy", "Lena Brodersen", "Torben Nissen", "Agnieszka Zielińska",
    "Kai Detlefsen", "Sabine Hartwig", "Rasmus Kjær", "Olga Lewandowska",
    "Henning Voss", "Fatma Demirci", "Piotr Mazur", "Imke Lorenzen",
    "Stefan Rathke", "Mette Dalgaard", "Andrzej Kamiński", "Wiebke Thomsen",
    "Yusuf Demir", "Nele Friedrichs", "Carsten Bohn", "Ewa Nowicka",
    "Søren Lauritsen", "Greta Oldenburg", "Tomasz Wójcik", "Heike Marquardt",
    "Ali Kaplan", "Frauke Jessen", "Mikkel Bertelsen", "Dorota Pawlak",
    "Ralf Steinkamp", "Silke Andresen", "Krzysztof Duda", "Maren Hinrichs",
    "Emre Şahin", "Ulrike Bahnsen", "Lars Mortensen", "Monika Krawczyk",
    "Dirk Sievers", "Pia Gregersen", "Hannes Tiedemann", "Zofia Górska",
    "Uwe Kröger", "Aylin Öztürk", "Nils Feddersen", "Renata Sikora",
    "Jörg Behnke", "Kirsten Overgaard", "Paweł Baran", "Antje Reimers",
    "Cem Arslan", "Inga Carstensen", "Bartosz Urban", "Telse Wulff",
    "Gunnar Lindqvist", "Magdalena Kubiak", "Holger Stahmer", "Jette Ravn",
    "Rafał Jankowski", "Svenja Timm", "Murat Koç", "Katrin Evers",
    "Jens Hougaard", "Beata Wilczek", "Matthias Drews", "Swantje Peters",
    "Grzegorz Adamski", "Elif Polat", "Arne Boysen", "Tanja Wendt",
    "Kasper Frandsen", "Justyna Malec", "Volker Kühl", "Rieke Harms",
    "Michał Sobczak", "Britta Schlüter", "Deniz Acar", "Finn Ketelsen",
    "Jolanta Witek", "Axel Pohlmann", "Line Skovgaard", "Marcin Lis",
    "Gesa Nommensen", "Bernd Ahlers", "Halina Kozak", "Timo Rickmers",
    "Camilla Bruun", "Wojciech Zając", "Ingrid Möller", "Sven Ohlsen",
    "Karolina Bielak", "Lutz Grabowski", "Merle Stoltenberg", "Oskar Hansen",
)  # fmt: skip

MAKES = (
    ("Scania", "R 450"),
    ("Volvo", "FH 460"),
    ("MAN", "TGX 18.470"),
    ("Mercedes-Benz", "Actros 1845"),
    ("DAF", "XF 480"),
)

# name, town, country, industry
CUSTOMERS = (
    ("Nordsee Fisch Kontor", "Bremerhaven", "Germany", "seafood"),
    ("Holsten Dairy", "Neumünster", "Germany", "dairy"),
    ("Baltic Timber Trading", "Wismar", "Germany", "timber"),
    ("Marzipan Werkstatt Niederegg", "Lübeck", "Germany", "confectionery"),
    ("Kühlhaus Ostsee", "Rostock", "Germany", "frozen food"),
    ("Jutland Pork", "Horsens", "Denmark", "meat"),
    ("Brygga Brewery", "Kiel", "Germany", "beverages"),
    ("Hanse Pharma Vertrieb", "Hamburg", "Germany", "pharmaceuticals"),
    ("Windrotor Nord", "Husum", "Germany", "wind energy"),
    ("Sund Furniture", "Odense", "Denmark", "furniture"),
    ("Pomorze Glass", "Szczecin", "Poland", "glass"),
    ("Weser Steel Supply", "Bremen", "Germany", "steel"),
    ("Apfelland Altes Land", "Jork", "Germany", "fruit"),
    ("Leine Auto Parts", "Hanover", "Germany", "automotive"),
    ("Kolding Plast", "Kolding", "Denmark", "plastics"),
    ("Förde Bookbinders", "Flensburg", "Germany", "printing"),
    ("Oder Chemical Works", "Police", "Poland", "chemicals"),
    ("Heide Potato Growers", "Uelzen", "Germany", "produce"),
    ("Skagen Seafood", "Skagen", "Denmark", "seafood"),
    ("Travemünde Ship Supply", "Travemünde", "Germany", "ship supply"),
    ("Vitalis Clinics", "Schwerin", "Germany", "healthcare"),
    ("Gartenfreund Centres", "Oldenburg", "Germany", "garden supplies"),
    ("Stettin Ceramics", "Szczecin", "Poland", "ceramics"),
    ("Bornholm Preserves", "Rønne", "Denmark", "food"),
    ("Elektro Lüders", "Hildesheim", "Germany", "electronics"),
    ("Papierfabrik Peine", "Peine", "Germany", "paper"),
    ("Küstenkaffee Rösterei", "Cuxhaven", "Germany", "coffee"),
    ("Aarhus Flower Exchange", "Aarhus", "Denmark", "flowers"),
    ("Mecklenburg Seed", "Güstrow", "Germany", "agriculture"),
    ("Warta Batteries", "Gorzów", "Poland", "batteries"),
    ("Salz und Sole", "Lüneburg", "Germany", "salt"),
    ("Fynen Bikes", "Svendborg", "Denmark", "bicycles"),
    ("Deichbau Nord", "Brunsbüttel", "Germany", "construction"),
    ("Rügen Organic", "Bergen auf Rügen", "Germany", "organic food"),
    ("Labor Lindholm", "Göttingen", "Germany", "laboratory supplies"),
    ("Hafen Textil", "Bremen", "Germany", "textiles"),
)

GOODS = {
    "seafood": "chilled fish",
    "dairy": "milk and butter",
    "timber": "sawn spruce",
    "confectionery": "marzipan and chocolate",
    "frozen food": "frozen vegetables",
    "meat": "chilled pork",
    "beverages": "kegs and crates of beer",
    "pharmaceuticals": "vaccines and insulin",
    "wind energy": "gearbox parts",
    "furniture": "flat-packed tables",
    "glass": "window glass on racks",
    "steel": "steel coils",
    "fruit": "apples in bins",
    "automotive": "brake discs",
    "plastics": "plastic granulate",
    "printing": "pallets of books",
    "chemicals": "cleaning concentrate",
    "produce": "seed potatoes",
    "ship supply": "ropes and paint",
    "healthcare": "surgical supplies",
    "garden supplies": "potting soil",
    "ceramics": "floor tiles",
    "food": "pickled herring",
    "electronics": "switchboards",
    "paper": "reels of paper",
    "coffee": "green coffee in sacks",
    "flowers": "cut flowers",
    "agriculture": "rapeseed",
    "batteries": "truck batteries",
    "salt": "salt in big bags",
    "bicycles": "boxed bicycles",
    "construction": "sheet piles",
    "organic food": "sea buckthorn juice",
    "laboratory supplies": "reagents",
    "textiles": "rolls of cloth",
}
CHILLED = frozenset(
    ("seafood", "dairy", "frozen food", "meat", "pharmaceuticals", "flowers", "organic food")
)
HAZARDOUS = frozenset(("chemicals", "batteries", "laboratory supplies"))

# origin, destination, km, hours, by way of
ROUTES = (
    ("luebeck", "kolding", 262, 3.8, "the A7 and the border at Ellund"),
    ("luebeck", "hanover", 222, 3.1, "the A1 and the A7"),
    ("luebeck", "rostock", 118, 1.6, "the A20"),
    ("flensburg", "kolding", 84, 1.2, "the E45"),
    ("flensburg", "bremen", 276, 3.9, "the Elbe tunnel"),
    ("flensburg", "kiel", 88, 1.4, "the B76"),
    ("kiel", "luebeck", 86, 1.4, "the B76 and the A1"),
    ("kiel", "hanover", 248, 3.4, "the A7"),
    ("kiel", "bremen", 212, 3.0, "the A7 and the A1"),
    ("rostock", "szczecin", 248, 3.3, "the A20 and the crossing at Pomellen"),
    ("rostock", "hanover", 322, 4.5, "the A24 and the A7"),
    ("rostock", "luebeck", 118, 1.6, "the A20"),
    ("bremen", "hanover", 127, 1.8, "the A27 and the A7"),
    ("bremen", "luebeck", 184, 2.6, "the A1"),
    ("hanover", "szczecin", 425, 5.6, "the A2 and the A11"),
    ("hanover", "bremen", 127, 1.8, "the A7 and the A27"),
    ("hanover", "kolding", 405, 5.7, "the A7"),
    ("kolding", "luebeck", 262, 3.8, "the border at Ellund"),
    ("kolding", "bremen", 358, 5.0, "the A7 and the A1"),
    ("szczecin", "rostock", 248, 3.3, "the A20"),
    ("szczecin", "luebeck", 362, 4.9, "the A20"),
    ("szczecin", "hanover", 425, 5.6, "the A11 and the A2"),
)

FINDINGS = (
    "the inner tyre on the second axle was down to 2.1 mm and was replaced",
    "brake pads on the front axle were worn to the marker and were changed",
    "a marker lamp on the left side was dead",
    "the tachograph seal was broken and the calibration was renewed",
    "a slow leak was found in the air suspension",
    "the windscreen had a crack in the driver's field of view",
    "the load-securing rails had two bent anchor points",
    "the AdBlue sensor reported wrong levels",
)
