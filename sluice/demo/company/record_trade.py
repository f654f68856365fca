"""Customers, contracts and invoices as records."""

from router.knowledge.records import Attribute, Link, Record
from sluice.demo.company.date_words import long_date
from sluice.demo.company.model import Company, Contract, Customer, Invoice


def customer_record(company: Company, customer: Customer) -> Record:
    manager = company.person[customer.account_manager]
    text = (
        f"{customer.name} of {customer.town}, {customer.country}, is a {customer.tier} customer "
        f"in the {customer.industry} business. {manager.name} looks after the account."
    )
    attributes: dict[str, Attribute] = {
        "town": customer.town,
        "country": customer.country,
        "industry": customer.industry,
        "tier": customer.tier,
    }
    links = (Link("LOOKED_AFTER_BY", manager.id),)
    source = f"customers/{customer.id}"
    return Record(customer.id, "customer", customer.name, text, source, attributes, links)


def contract_record(company: Company, contract: Contract) -> Record:
    customer, depot = company.customer[contract.customer], company.depot[contract.depot]
    manager = company.person[contract.manager]
    text = (
        f"Contract {contract.id} with {customer.name} covers {contract.service} from the "
        f"{depot.name}. It was signed on {long_date(contract.signed_on)}, runs until "
        f"{long_date(contract.ends_on)}, is worth {contract.value:,} euro a year and is "
        f"{contract.status}. Invoices are payable within {contract.payment_days} days. "
        f"{manager.name} negotiated it."
    )
    attributes: dict[str, Attribute] = {
        "customer": customer.name,
        "service": contract.service,
        "depot": depot.town,
        "value": contract.value,
        "status": contract.status,
        "payment_days": contract.payment_days,
        "ends_on": contract.ends_on.isoformat(),
        "occurred_on": contract.signed_on.isoformat(),
    }
    links = (
        Link("SIGNED_WITH", customer.id),
        Link("NEGOTIATED_BY", manager.id),
        Link("SERVED_FROM", depot.id),
    )
    title, source = f"Contract {contract.id} with {customer.name}", f"contracts/{contract.id}"
    return Record(contract.id, "contract", title, text, source, attributes, links)


def invoice_record(company: Company, invoice: Invoice) -> Record:
    customer = company.customer[invoice.customer]
    paid = f"It was paid on {long_date(invoice.paid_on)}." if invoice.paid_on else ""
    state = paid or f"It has not been paid and is {invoice.status}."
    text = (
        f"Invoice {invoice.id} to {customer.name} under contract {invoice.contract} is for "
        f"{invoice.amount:,} euro. It was issued on {long_date(invoice.issued_on)} and due on "
        f"{long_date(invoice.due_on)}. {state}"
    )
    attributes: dict[str, Attribute] = {
        "customer": customer.name,
        "amount": invoice.amount,
        "status": invoice.status,
        "due_on": invoice.due_on.isoformat(),
        "occurred_on": invoice.issued_on.isoformat(),
    }
    links = (Link("BILLS", invoice.contract), Link("BILLED_TO", customer.id))
    title, source = f"Invoice {invoice.id} to {customer.name}", f"invoices/{invoice.id}"
    return Record(invoice.id, "invoice", title, text, source, attributes, links)
