"""A BentoML service, `Census`: who earns well. One route takes rows as objects, one the fields of a
single row, one a matrix of numbers, and one streams. It knows nothing of Tidegate.
"""

import typing

import bentoml
import numpy as np
import pydantic


class Person(pydantic.BaseModel):
    age: int
    wage: float
    gender: str
    work: str


class Verdict(pydantic.BaseModel):
    predict: int
    score: float


def verdict(wage):
    return Verdict(predict=int(wage > 20), score=wage / (1 + wage))


@bentoml.service(name="census")
class Census:
    @bentoml.api
    def predict(self, people: list[Person]) -> list[Verdict]:
        return [verdict(person.wage) for person in people]

    @bentoml.api
    def one(self, age: int, wage: float, gender: str, work: str = "Private") -> Verdict:
        return verdict(wage)

    @bentoml.api
    def rows(self, values: np.ndarray) -> np.ndarray:
        return values.sum(axis=1)

    @bentoml.api
    def words(self, count: int = 3) -> typing.Iterator[str]:
        for number in range(count):
            yield f"data: word {number}\n\n"
