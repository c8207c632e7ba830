"""The folder of a run's results: parts, ledger, tables, records, and exports of them."""
