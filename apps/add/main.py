"""Adds two numbers.

Reads a request (see request.schema.json) on stdin and prints the result as JSON. By hand:

    python3 apps/add/main.py < apps/add/example.json
"""

import json
import sys


def main() -> None:
    request = json.load(sys.stdin.buffer)
    num1, num2 = request["num1"], request["num2"]
    result = {"num1": num1, "num2": num2, "operation": "add", "result": num1 + num2}
    print(json.dumps(result, allow_nan=False))


if __name__ == "__main__":
    main()
