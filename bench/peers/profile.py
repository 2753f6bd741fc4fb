"""Rows that whylogs and pandas profile each CPU second, of a table that is in memory. Prints a line
of JSON for each. It does not know our rates.

Needs: whylogs, pandas. Takes the table as a CSV file.
"""

import json
import logging
import sys
import time

import pandas

STREAMED = 2_000


def say(name, rows, work):
    begun = time.process_time()
    work()
    rate = rows / (time.process_time() - begun)
    print(json.dumps({"name": name, "rate": rate}), flush=True)


def main():
    table = pandas.read_csv(sys.argv[1])
    texts = table.select_dtypes(exclude="number").columns
    table[texts] = table[texts].astype(object)
    say("pandas describe, the same table", len(table), lambda: table.describe(include="all"))
    try:
        logging.disable(logging.CRITICAL)
        import whylogs
        from whylogs.core import DatasetProfile
    except ImportError as missing:
        print(f"passed over: whylogs, {missing}", file=sys.stderr)
        return
    part = table.head(100_000)
    say("whylogs in batch, the same table", len(part), lambda: whylogs.log(part))
    rows = table.head(STREAMED).to_dict("records")
    profile = DatasetProfile()
    say("whylogs row by row", len(rows), lambda: [profile.track(row=row) for row in rows])


main()
