"""The families of this book's networks, one module for each family or for related ones."""

from . import residual, vgg
from .family import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        vgg.FAMILY,
        residual.FOUR_STAGES,
        residual.THREE_STAGES,
    )
}
