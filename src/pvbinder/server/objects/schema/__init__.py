"""The types of every kind: checked at C speed when a body is as it should be, explained exactly when it isn't.

Promise: what is decoded is what the reference would store, and what is refused is refused in its words. Nothing of the
schema is read before the first body of a kind arrives.
"""

from pvbinder.server.objects.schema.decode import FieldValidation, check_object, decode_body
from pvbinder.server.objects.schema.types import CATALOGUE, Field, ObjectType, TypeCatalogue

__all__ = ["CATALOGUE", "Field", "FieldValidation", "ObjectType", "TypeCatalogue", "check_object", "decode_body"]
